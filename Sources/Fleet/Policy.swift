// SPDX-License-Identifier: Apache-2.0

/// The operator's settings: when a host counts as overloaded, and how cautiously it is relieved.
public struct Policy: Sendable, Equatable {
    public var cpu: Thresholds
    public var memory: Thresholds
    /// Number of the last `overloadWindow` samples that must be above the upper threshold for an overload.
    public var overloadSamples: Int
    public var overloadWindow: Int
    /// Short window: the mean load over it must also exceed the upper threshold.
    ///
    /// Long window: the share of time above the threshold must reach `lastingShare`. If the time since the host's last
    /// move is shorter, that time counts.
    public var shortWindow: Duration
    public var longWindow: Duration
    /// A share of time, 0 to 1.
    public var lastingShare: Double
    /// An overloaded host stays so until its samples are below the upper threshold by this share.
    public var hysteresis: Double
    /// How far ahead a trend in the long window is extrapolated.
    public var forecast: Duration
    /// A host without a sample for this long is neither source nor target.
    public var staleAfter: Duration
    /// A VM that was moved, or whose move failed, stays for this long.
    public var cooldown: Duration
    /// A VM does not return within this time to a host that it left.
    public var noReturn: Duration
    /// Limits on simultaneous moves: on one host, and in total.
    public var movesPerHost: Int
    public var movesInAll: Int
    /// An order that no agent has begun within this time is void.
    public var orderLifetime: Duration
    public var mode: OperatingMode
    public var planning: PlanningPolicy
    /// Their VMs are named by uuid or by name.
    public var rules: [PlacementRule]
    /// Hosts to be emptied.
    public var maintenance: Set<HostName>
    /// The channels that the controller may choose, the preferred one first; never `plain`.
    public var channels: [Channel]

    public init(
        cpu: Thresholds = Thresholds(upper: 0.80, lower: 0.60),
        memory: Thresholds = Thresholds(upper: 0.90, lower: 0.75),
        overloadSamples: Int = 3,
        overloadWindow: Int = 4,
        shortWindow: Duration = .seconds(60),
        longWindow: Duration = .seconds(1800),
        lastingShare: Double = 0.1,
        hysteresis: Double = 0.05,
        forecast: Duration = .seconds(600),
        staleAfter: Duration = .seconds(30),
        cooldown: Duration = .seconds(300),
        noReturn: Duration = .seconds(1800),
        movesPerHost: Int = 2,
        movesInAll: Int = 4,
        orderLifetime: Duration = .seconds(120),
        mode: OperatingMode = .automatic,
        planning: PlanningPolicy = PlanningPolicy(),
        rules: [PlacementRule] = [],
        maintenance: Set<HostName> = [],
        channels: [Channel] = [.ipsec]
    ) {
        self.cpu = cpu
        self.memory = memory
        self.overloadSamples = overloadSamples
        self.overloadWindow = overloadWindow
        self.shortWindow = shortWindow
        self.longWindow = longWindow
        self.lastingShare = lastingShare
        self.hysteresis = hysteresis
        self.forecast = forecast
        self.staleAfter = staleAfter
        self.cooldown = cooldown
        self.noReturn = noReturn
        self.movesPerHost = movesPerHost
        self.movesInAll = movesInAll
        self.orderLifetime = orderLifetime
        self.mode = mode
        self.planning = planning
        self.rules = rules
        self.maintenance = maintenance
        self.channels = channels
    }
}

/// Two shares of a host's capacity, 0 to 1.
public struct Thresholds: Sendable, Equatable {
    /// A host above it is overloaded, and no move may load a target above it.
    public var upper: Double
    /// A host at or below it is light and may take VMs; between the two it is left alone.
    public var lower: Double
    public init(upper: Double, lower: Double) {
        self.upper = upper
        self.lower = lower
    }
}
