// SPDX-License-Identifier: Apache-2.0

/// What is to be done about a snapshot, and why; immutable and complete.
public struct Plan: Sendable, Equatable {
    public let snapshotRevision: UInt64
    public let at: Instant
    public let strategy: Strategy
    /// In the order in which they should begin, wave after wave.
    public let moves: [PlannedMove]
    /// The judgement of every host, in the order of their names.
    public let judgements: [Judgement]
    /// Why VMs of overloaded hosts stay where they are.
    public let refusals: [Refusal]
    /// What is missing when moves cannot help; `nil`: nothing.
    public let shortage: Shortage?
    public let before: FleetScore
    public let after: FleetScore
    /// Whether the search ended because its time was over: with more time the plan may be better.
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

    /// Waves in which the moves are made: those of one run side by side, the next begins when all have ended.
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
        /// Were a host to fail, a VM of it could be started where this one was.
        case reserve
        /// The source is emptied so that it can be powered off.
        case consolidate
        /// It makes room for another move: a part of a swap, or a stop on the way that breaks a cycle.
        case room
    }
    public var vm: VMID
    public var vmName: String
    public var source: HostName
    public var target: HostName
    /// From 0.
    public var wave: Int
    public var purpose: Purpose
    public var reason: MoveReason
    public var prediction: Prediction
    public var memoryBytes: UInt64
    /// How long the migration is expected to take.
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

/// How a fleet stands: the smaller, the better, in the order of the fields.
public struct FleetScore: Codable, Sendable, Equatable {
    /// VMs that must leave (host in maintenance, broken rule) and have not, and VMs that would find no room if their
    /// host failed, where the policy keeps hosts in reserve.
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
        /// Of VCPUs per physical CPU.
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

/// What the fleet lacks, whoever is where.
public struct Shortage: Sendable, Equatable {
    /// So many hosts like the fleet's median one are missing.
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

/// What a host is to the balancer, and why.
public struct Judgement: Codable, Sendable, Hashable {
    public enum Verdict: String, Codable, Sendable {
        case overloaded, calm, light
        /// A move is under way or has just ended: its figures do not count yet.
        case settling
        /// No fresh sample, or one without the figures needed.
        case unknown
        /// What it claims of itself is contradicted: it takes no part in planned moves.
        case distrusted

        /// Whether the host neither needs relief nor leaves open whether it does.
        public var isAtEase: Bool { self == .calm || self == .light }
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
    /// `nil` where the reason holds for the whole host.
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
