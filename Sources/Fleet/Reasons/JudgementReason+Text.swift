// SPDX-License-Identifier: Apache-2.0

extension JudgementReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noSample: "no sample yet"
        case .clockAhead(let seconds): "its clock is \(seconds) s ahead of the controller's: synchronise the clocks"
        case .stale(let ago, let allowed): "the last sample is \(ago) s old, at most \(allowed) s are allowed"
        case .sourceFailed(let source, let reason): "its last sample is incomplete: \(source): \(reason)"
        case .figuresMissing: "its last sample lacks CPU, memory or VM figures"
        case .contradicted(let contradictions): contradictions.map(\.description).joined(separator: "; ")
        case .takesNoOrders(let reason): "its agent cannot take orders: \(reason)"
        case .moveUnderWay(let path): "a move from \(path.source) to \(path.target) is under way"
        case .noSampleSinceMove: "no sample since its last move ended"
        case .overload(let sign): "\(sign)"
        case .load(let cpu, let memory, let signs):
            (["CPU \(percent(cpu)), memory \(percent(memory))"] + signs.map(\.description)).joined(separator: "; ")
        case .contention(let contention): contention.text
        case .hostMode(let mode): Self.text(of: mode)
        }
    }

    private static func text(of mode: HostMode) -> String {
        switch mode {
        case .active, .maintenance: mode.rawValue
        case .settling: "a move that changes it has not settled yet"
        case .stale: "no fresh figures"
        case .distrusted: "its claims are contradicted"
        case .blocked: "its agent cannot take orders"
        case .failed: "failed"
        }
    }
}

extension OverloadSign: CustomStringConvertible {
    public var description: String {
        switch self {
        case .lasting(let samples, let now): "\(samples), now \(percent(now))"
        case .notReleased(let resource, let upper, let release, let samples, let of, let now):
            "\(resource) was above \(percent(upper)) and has not been below \(percent(release)) in "
                + "\(samples) of the last \(of) samples, now \(percent(now))"
        case .tooFew(let samples, let needed): "\(samples) (overloaded from \(needed))"
        case .tooBrief(let samples, let windows):
            "\(samples), mean \(percent(windows.mean)) over \(windows.shortSeconds) s, above the threshold for "
                + "\(percent(windows.lasting)) of the last \(windows.longSeconds) s (overloaded when the mean exceeds "
                + "\(percent(samples.upper)) and the time reaches \(percent(windows.lastingNeeded)))"
        }
    }
}

extension SamplesAbove: CustomStringConvertible {
    public var description: String { "\(resource) above \(percent(upper)) in \(count) of the last \(of) samples" }
}

extension Contention: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cpu(let share, let allowed, let isForecast):
            "CPU \(percent(share))\(isForecast ? " forecast" : ""), \(percent(allowed)) allowed"
        case .cpuNow(let share): "CPU demand \(percent(share)) now"
        case .memory(let share, let allowed): "memory \(percent(share)), \(percent(allowed)) allowed"
        }
    }
}

extension [Contention] {
    var text: String { map(\.description).joined(separator: ", ") }
}

extension LoadedResource: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cpu: "CPU"
        case .memory: "memory"
        case .network: "network"
        case .disk: "disk"
        case .vcpus: "VCPUs per CPU"
        }
    }
}
