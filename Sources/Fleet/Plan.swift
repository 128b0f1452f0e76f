// SPDX-License-Identifier: Apache-2.0

/// The moves for a snapshot, and their reasons; immutable and complete.
public struct Plan: Sendable, Equatable {
    public let snapshotRevision: UInt64
    public let at: Instant
    public let strategy: Strategy
    /// In the order in which they should begin, wave after wave.
    public let moves: [PlannedMove]
    /// The judgement of every host, in the order of their names.
    public let judgements: [Judgement]
    /// Why VMs of overloaded hosts stay.
    public let refusals: [Refusal]
    /// The hosts that are missing if moves cannot help; `nil`: none.
    public let shortage: Shortage?
    public let before: FleetScore
    public let after: FleetScore
    /// Whether the search reached its time budget: with more time the plan may be better.
    public let wasCutShort: Bool

    public init(
        snapshotRevision: UInt64,
        at: Instant,
        strategy: Strategy,
        moves: [PlannedMove],
        judgements: [Judgement],
        refusals: [Refusal],
        shortage: Shortage? = nil,
        before: FleetScore,
        after: FleetScore,
        wasCutShort: Bool = false
    ) {
        self.snapshotRevision = snapshotRevision
        self.at = at
        self.strategy = strategy
        self.moves = moves
        self.judgements = judgements
        self.refusals = refusals
        self.shortage = shortage
        self.before = before
        self.after = after
        self.wasCutShort = wasCutShort
    }

    /// The number of waves: the moves of one run in parallel, and the next begins when all of them have ended.
    public var waves: Int { (moves.map(\.wave).max() ?? -1) + 1 }
    public var memoryBytes: UInt64 { moves.reduce(0) { $0 + $1.memoryBytes } }
}

/// One move of a plan.
public struct PlannedMove: Sendable, Equatable {
    public enum Purpose: String, Codable, Sendable {
        /// The source or the VM lacks CPU or memory.
        case contention
        case balance
        /// The source is to be emptied.
        case drain
        /// A rule is broken.
        case rule
        /// It makes room on the source to restart the VM of a failed host.
        case reserve
        /// The source is emptied so that it can be powered off.
        case consolidate
        /// It makes room for another move: a part of a swap, or a stop that breaks a cycle.
        case room
    }
    public var vm: VMID
    public var vmName: String
    public var source: HostName
    public var target: HostName
    /// Starts at 0.
    public var wave: Int
    public var purpose: Purpose
    public var reason: MoveReason
    public var prediction: Prediction
    public var memoryBytes: UInt64
    /// Expected duration of the migration.
    public var seconds: Double
    public init(
        vm: VMID,
        vmName: String,
        source: HostName,
        target: HostName,
        wave: Int = 0,
        purpose: Purpose = .contention,
        reason: MoveReason,
        prediction: Prediction,
        memoryBytes: UInt64,
        seconds: Double
    ) {
        self.vm = vm
        self.vmName = vmName
        self.source = source
        self.target = target
        self.wave = wave
        self.purpose = purpose
        self.reason = reason
        self.prediction = prediction
        self.memoryBytes = memoryBytes
        self.seconds = seconds
    }
}

/// The quality of a placement: the smaller, the better, in the order of the fields.
public struct FleetScore: Codable, Sendable, Equatable {
    /// The number of VMs that must leave (host in maintenance, broken rule) and have not, or that lack a reserve.
    ///
    /// A VM lacks a reserve if it would find no room after the failure of its host, within the policy's reserve hosts.
    public var violations: Int
    /// Cores of demand or forecast demand above the hosts' upper threshold, summed over the hosts.
    public var coresLacking: Double
    /// Bytes of memory above the hosts' upper threshold, summed over the hosts.
    public var bytesLacking: Double
    /// Hosts with either.
    public var contendedHosts: Int
    /// Standard deviation over the hosts of used / capacity.
    public var spread: Spread
    /// The weighted sum of the spreads.
    public var imbalance: Double

    public struct Spread: Codable, Sendable, Equatable {
        public var cpu: Double
        public var memory: Double
        public var network: Double
        public var disk: Double
        /// VCPUs per physical CPU.
        public var vcpus: Double
        public init(cpu: Double = 0, memory: Double = 0, network: Double = 0, disk: Double = 0, vcpus: Double = 0) {
            self.cpu = cpu
            self.memory = memory
            self.network = network
            self.disk = disk
            self.vcpus = vcpus
        }
    }

    public init(
        violations: Int = 0,
        coresLacking: Double = 0,
        bytesLacking: Double = 0,
        contendedHosts: Int = 0,
        spread: Spread = Spread(),
        imbalance: Double = 0
    ) {
        self.violations = violations
        self.coresLacking = coresLacking
        self.bytesLacking = bytesLacking
        self.contendedHosts = contendedHosts
        self.spread = spread
        self.imbalance = imbalance
    }
}

/// The capacity that the fleet lacks whatever the placement.
public struct Shortage: Sendable, Equatable {
    /// The number of missing hosts, in median hosts of the fleet.
    public var hosts: Int
    public var hostCores: Double
    public var hostMemoryBytes: UInt64
    public var reason: ShortageReason
    public init(hosts: Int, hostCores: Double, hostMemoryBytes: UInt64, reason: ShortageReason) {
        self.hosts = hosts
        self.hostCores = hostCores
        self.hostMemoryBytes = hostMemoryBytes
        self.reason = reason
    }
}

/// The planner's verdict on a host, and why.
public struct Judgement: Codable, Sendable, Hashable {
    public enum Verdict: String, Codable, Sendable {
        case overloaded, calm, light
        /// A move is under way or has just ended: its figures do not count yet.
        case settling
        /// No fresh sample, or one without the necessary figures.
        case unknown
        /// Its claims are contradicted: it takes no part in planned moves.
        case distrusted
        /// Its agent cannot take orders.
        case blocked

        /// Whether the host is known to need no relief.
        public var hasHeadroom: Bool { self == .calm || self == .light }
    }
    public var host: HostName
    public var verdict: Verdict
    public var reason: JudgementReason
    public init(host: HostName, verdict: Verdict, reason: JudgementReason) {
        self.host = host
        self.verdict = verdict
        self.reason = reason
    }
}

/// Why a VM of an overloaded host, or the host itself, is not relieved.
public struct Refusal: Sendable, Equatable {
    public var host: HostName
    /// `nil` if the reason concerns the whole host.
    public var vm: VMID?
    public var vmName: String?
    public var reason: RefusalReason
    public init(host: HostName, vm: VMID? = nil, vmName: String? = nil, reason: RefusalReason) {
        self.host = host
        self.vm = vm
        self.vmName = vmName
        self.reason = reason
    }
}
