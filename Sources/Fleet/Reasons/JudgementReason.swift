// SPDX-License-Identifier: Apache-2.0

/// Why a host is judged as it is.
public indirect enum JudgementReason: Codable, Sendable, Hashable {
    case noSample
    /// The host's clock is ahead of the controller's.
    case clockAhead(seconds: Int64)
    case stale(secondsAgo: Int64, allowedSeconds: Int64)
    /// A source of figures failed, in the agent's words.
    case sourceFailed(source: String, reason: String)
    case figuresMissing
    /// What contradicts its claims.
    case contradicted([Contradiction])
    case moveUnderWay(Path)
    case noSampleSinceMove
    /// By its history, it is overloaded.
    case overload(OverloadSign)
    /// It is not overloaded; what it uses, and what may become an overload.
    case load(cpu: Double, memory: Double, signs: [OverloadSign])
    /// By its figures alone, without a history, it is overloaded.
    case contention([Contention])
    /// A host in a file that its mode keeps out.
    case hostMode(HostMode)

    /// Stable, for programs.
    public var code: String {
        switch self {
        case .noSample: "no-sample"
        case .clockAhead: "clock-ahead"
        case .stale: "stale"
        case .sourceFailed: "source-failed"
        case .figuresMissing: "figures-missing"
        case .contradicted: "contradicted"
        case .moveUnderWay: "move-under-way"
        case .noSampleSinceMove: "no-sample-since-move"
        case .overload: "overload"
        case .load: "load"
        case .contention: "contention"
        case .hostMode(let mode): "host-\(mode.rawValue)"
        }
    }
}

/// What a window of samples shows of the overload of one resource.
public enum OverloadSign: Codable, Sendable, Hashable {
    /// Overloaded, and `now` is its latest share.
    case lasting(SamplesAbove, now: Double)
    /// Overloaded before, and not below `release` in `samples` of the last `of` samples since.
    case notReleased(LoadedResource, upper: Double, release: Double, samples: Int, of: Int, now: Double)
    /// Not yet overloaded: `needed` samples above the threshold make it so.
    case tooFew(SamplesAbove, needed: Int)
    /// Not yet overloaded: it has not lasted.
    case tooBrief(SamplesAbove, windows: OverloadWindows)
}

/// How many of the latest samples are above the upper threshold.
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

/// What both windows of a resource's history show, and how long they are.
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

/// What a host has too much of, by its figures.
public enum Contention: Codable, Sendable, Hashable {
    case cpu(share: Double, allowed: Double, isForecast: Bool)
    /// Its VMs want more CPU now than there is.
    case cpuNow(share: Double)
    case memory(share: Double, allowed: Double)
}

/// A resource that is balanced.
public enum LoadedResource: String, Codable, Sendable, CaseIterable {
    case cpu, memory, network, disk
    /// VCPUs per physical CPU.
    case vcpus
}
