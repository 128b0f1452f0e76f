// SPDX-License-Identifier: Apache-2.0

/// Why a move is planned, and what it brings.
public struct MoveReason: Codable, Sendable, Hashable {
    public var cause: Cause
    /// `nil`: the one who planned it does not predict.
    public var effect: MoveEffect?

    public init(_ cause: Cause, effect: MoveEffect? = nil) {
        self.cause = cause
        self.effect = effect
    }

    /// What the move is for.
    public enum Cause: Codable, Sendable, Hashable {
        case maintenance(HostName)
        /// The names of rules that the host breaks.
        case rules([String], brokenOn: HostName)
        /// Empty: it was overloaded before another move of the plan.
        case overload(HostName, [Contention])
        case failureReserve
        case balance(Balance)
        /// The host is emptied.
        case consolidation(HostName)
        /// A stop on the way, which breaks a cycle.
        case stop(on: HostName)
        /// A VM that fits better on the source takes its place.
        case room(on: HostName)
        /// A baseline's move, by its name.
        case baseline(String)
    }

    /// The resource that a move evens out most.
    public struct Balance: Codable, Sendable, Hashable {
        public var resource: LoadedResource
        public var source: HostName
        public var target: HostName
        public var sourceShare: Double
        public var targetShare: Double
        public var fleetShare: Double
        public init(
            resource: LoadedResource,
            source: HostName,
            target: HostName,
            sourceShare: Double,
            targetShare: Double,
            fleetShare: Double
        ) {
            self.resource = resource
            self.source = source
            self.target = target
            self.sourceShare = sourceShare
            self.targetShare = targetShare
            self.fleetShare = fleetShare
        }
    }

    /// Stable, for programs.
    public var code: String {
        switch cause {
        case .maintenance: "host-maintenance"
        case .rules: "breaks-rules"
        case .overload: "overload"
        case .failureReserve: "failure-reserve"
        case .balance: "balance"
        case .consolidation: "consolidation"
        case .stop: "stop"
        case .room: "room"
        case .baseline: "baseline"
        }
    }
}

/// What a move is expected to change, and what it costs.
public struct MoveEffect: Codable, Sendable, Hashable {
    public var vmName: String
    public var cores: Double
    public var memoryBytes: UInt64
    public var source: HostChange
    public var target: HostChange
    public var worth: Worth
    /// Of transfer.
    public var seconds: Double
    /// Whether the guest dirties memory so fast that the hypervisor has to slow it down.
    public var slowsGuest: Bool

    /// A host's shares before and after the move.
    public struct HostChange: Codable, Sendable, Hashable {
        public var name: HostName
        public var cpuBefore: Double
        public var cpuAfter: Double
        public var memoryBefore: Double
        public var memoryAfter: Double
        public init(
            name: HostName,
            cpuBefore: Double,
            cpuAfter: Double,
            memoryBefore: Double,
            memoryAfter: Double
        ) {
            self.name = name
            self.cpuBefore = cpuBefore
            self.cpuAfter = cpuAfter
            self.memoryBefore = memoryBefore
            self.memoryAfter = memoryAfter
        }
    }

    /// What a move gains, in what it costs.
    public enum Worth: Codable, Sendable, Hashable {
        /// Alone it costs more than it gains.
        case partOfOthers
        case times(Double)
        /// More than any other figure says.
        case overThousandTimes
    }

    public init(
        vmName: String,
        cores: Double,
        memoryBytes: UInt64,
        source: HostChange,
        target: HostChange,
        worth: Worth,
        seconds: Double,
        slowsGuest: Bool
    ) {
        self.vmName = vmName
        self.cores = cores
        self.memoryBytes = memoryBytes
        self.source = source
        self.target = target
        self.worth = worth
        self.seconds = seconds
        self.slowsGuest = slowsGuest
    }
}
