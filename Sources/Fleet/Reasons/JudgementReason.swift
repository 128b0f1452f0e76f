// SPDX-License-Identifier: Apache-2.0

/// Why a host is judged as it is.
public indirect enum JudgementReason: Codable, Sendable, Hashable {
    case noSample
    /// The host's clock is ahead of the controller's.
    case clockAhead(seconds: Int64)
    case stale(secondsAgo: Int64, allowedSeconds: Int64)
    /// A source of figures failed, as reported by the agent.
    case sourceFailed(source: String, reason: String)
    case figuresMissing
    /// The contradictions to its claims.
    case contradicted([Contradiction])
    /// As its agent states it in its last sample.
    case takesNoOrders(reason: String)
    case moveUnderWay(Path)
    case noSampleSinceMove
    /// Overloaded by its history.
    case overload(OverloadSign)
    /// Not overloaded: its shares, and the signs of a possible overload.
    case load(cpu: Double, memory: Double, signs: [OverloadSign])
    /// Overloaded by its figures alone, without a history.
    case contention([Contention])
    /// A host in a file that its mode excludes.
    case hostMode(HostMode)

    /// A stable code for programs.
    public var code: String {
        switch self {
        case .noSample: "no-sample"
        case .clockAhead: "clock-ahead"
        case .stale: "stale"
        case .sourceFailed: "source-failed"
        case .figuresMissing: "figures-missing"
        case .contradicted: "contradicted"
        case .takesNoOrders: "takes-no-orders"
        case .moveUnderWay: "move-under-way"
        case .noSampleSinceMove: "no-sample-since-move"
        case .overload: "overload"
        case .load: "load"
        case .contention: "contention"
        case .hostMode(let mode): "host-\(mode.rawValue)"
        }
    }
}

/// The sign of an overload of one resource in a window of samples.
public enum OverloadSign: Codable, Sendable, Hashable {
    /// Overloaded; `now` is its latest share.
    case lasting(SamplesAbove, now: Double)
    /// Overloaded before, and not yet below `release` in `samples` of the last `of` samples.
    case notReleased(LoadedResource, upper: Double, release: Double, samples: Int, of: Int, now: Double)
    /// Not yet overloaded: that takes `needed` samples above the threshold.
    case tooFew(SamplesAbove, needed: Int)
    /// Not yet overloaded: it has not lasted.
    case tooBrief(SamplesAbove, windows: OverloadWindows)
}

/// The number of the latest samples above the upper threshold.
public struct SamplesAbove: Codable, Sendable, Hashable {
    public var resource: LoadedResource
    public var upper: Double
    public var count: Int
    public var of: Int
    public init(resource: LoadedResource, upper: Double, count: Int, of: Int) {
        self.resource = resource
        self.upper = upper
        self.count = count
        self.of = of
    }
}

/// The figures of both windows of a resource's history, and their lengths.
public struct OverloadWindows: Codable, Sendable, Hashable {
    /// The mean share over the short window.
    public var mean: Double
    public var shortSeconds: Int64
    /// The share of the long window above the threshold.
    public var lasting: Double
    public var longSeconds: Int64
    /// The policy's `lasting_share`.
    public var lastingNeeded: Double
    public init(mean: Double, shortSeconds: Int64, lasting: Double, longSeconds: Int64, lastingNeeded: Double) {
        self.mean = mean
        self.shortSeconds = shortSeconds
        self.lasting = lasting
        self.longSeconds = longSeconds
        self.lastingNeeded = lastingNeeded
    }
}

/// A resource that is overused on a host, by its figures.
public enum Contention: Codable, Sendable, Hashable {
    case cpu(share: Double, allowed: Double, isForecast: Bool)
    /// The present CPU demand of its VMs exceeds its capacity.
    case cpuNow(share: Double)
    case memory(share: Double, allowed: Double)
}

/// A resource that is balanced.
public enum LoadedResource: String, Codable, Sendable, CaseIterable {
    case cpu, memory, network, disk
    /// VCPUs per physical CPU.
    case vcpus
}
