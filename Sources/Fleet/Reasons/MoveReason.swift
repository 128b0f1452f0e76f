// SPDX-License-Identifier: Apache-2.0

/// Why a move is planned, and its expected effect.
public struct MoveReason: Codable, Sendable, Hashable {
    public var cause: Cause
    /// `nil` if the planner does not predict.
    public var effect: MoveEffect?

    public init(_ cause: Cause, effect: MoveEffect? = nil) {
        self.cause = cause
        self.effect = effect
    }

    /// The purpose of the move.
    public enum Cause: Codable, Sendable, Hashable {
        case maintenance(HostName)
        /// The names of the rules that the host breaks.
        case rules([String], brokenOn: HostName)
        /// Empty if only the VM's first host was overloaded, and this one is a stop on its way.
        case overload(HostName, [Contention])
        case failureReserve
        case balance(Balance)
        /// The host is emptied.
        case consolidation(HostName)
        /// A stop, which breaks a cycle.
        case stop(on: HostName)
        /// A VM that fits better on the source takes its place.
        case room(on: HostName)
        /// A move of a baseline, with its name.
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

    /// A stable code for programs.
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

/// The expected effect of a move, and its cost.
public struct MoveEffect: Codable, Sendable, Hashable {
    public var vmName: String
    public var cores: Double
    public var memoryBytes: UInt64
    public var source: HostChange
    public var target: HostChange
    public var worth: Worth
    /// Duration of the transfer.
    public var seconds: Double
    /// Whether the guest dirties memory so fast that the hypervisor must slow it down.
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

    /// The gain of a move as a multiple of its cost.
    public enum Worth: Codable, Sendable, Hashable {
        /// Alone it costs more than it gains.
        case partOfOthers
        case times(Double)
        /// A more exact figure would carry no information.
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
