// SPDX-License-Identifier: Apache-2.0

/// What is to be done about a snapshot, and why; immutable and complete.
public struct Plan: Sendable, Equatable {
    public let snapshotRevision: UInt64
    public let at: Instant
    /// In the order in which they should begin.
    public let moves: [PlannedMove]
    /// The judgement of every host, in the order of their names.
    public let judgements: [Judgement]
    /// Why VMs of overloaded hosts stay where they are.
    public let refusals: [Refusal]

    public init(
        snapshotRevision: UInt64,
        at: Instant,
        moves: [PlannedMove],
        judgements: [Judgement],
        refusals: [Refusal]
    ) {
        self.snapshotRevision = snapshotRevision
        self.at = at
        self.moves = moves
        self.judgements = judgements
        self.refusals = refusals
    }
}

/// One move of a plan.
public struct PlannedMove: Sendable, Equatable {
    public var vm: VMID
    public var vmName: String
    public var source: HostName
    public var target: HostName
    public var reason: String
    public var prediction: Prediction
    public init(
        vm: VMID,
        vmName: String,
        source: HostName,
        target: HostName,
        reason: String,
        prediction: Prediction
    ) {
        self.vm = vm
        self.vmName = vmName
        self.source = source
        self.target = target
        self.reason = reason
        self.prediction = prediction
    }
}

/// What a host is to the balancer, with the reason in words.
public struct Judgement: Sendable, Equatable {
    public enum Verdict: String, Codable, Sendable {
        case overloaded, calm, light
        /// A move is under way or has just ended: its figures do not count yet.
        case settling
        /// No fresh sample, or one without the figures needed.
        case unknown

        /// Whether the host neither needs relief nor leaves open whether it does.
        public var isAtEase: Bool { self == .calm || self == .light }
    }
    public var host: HostName
    public var verdict: Verdict
    public var reason: String
    public init(host: HostName, verdict: Verdict, reason: String) {
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
    public var reason: String
    public init(host: HostName, vm: VMID? = nil, vmName: String? = nil, reason: String) {
        self.host = host
        self.vm = vm
        self.vmName = vmName
        self.reason = reason
    }
}
