// SPDX-License-Identifier: Apache-2.0

/// Why a VM is not moved, or a host not relieved.
public indirect enum RefusalReason: Codable, Sendable, Hashable {
    /// The VM may not leave its host.
    case stays(StayReason)
    /// What speaks against each of the other hosts.
    case noTarget([HostsObstacle])
    case noOtherHost
    /// It breaks rules where it is, and cannot be moved.
    case breaksRules([BrokenRule], because: RefusalReason)
    /// A cycle of moves has no room to begin; `isLimited`: the policy limits the number of moves.
    case deadlock(target: HostName, isLimited: Bool)
    /// If its host failed, no other would have room.
    case noRoomAfterFailure
    /// No VM of an overloaded host can move.
    case loadIsNotOfVMs
    /// A host that is judged overloaded is not by what is expected of its VMs.
    case overloadPasses
    /// One of very many hosts: `evenkeel explain HOST` has the reasons.
    case notDetailed(HostName)

    /// A rule that a VM breaks where it is.
    public struct BrokenRule: Codable, Sendable, Hashable {
        public var name: String
        public var kind: PlacementRule.Kind
        public init(name: String, kind: PlacementRule.Kind) {
            self.name = name
            self.kind = kind
        }
    }

    /// Stable, for programs.
    public var code: String {
        switch self {
        case .stays(let reason): reason.code
        case .noTarget: "no-target"
        case .noOtherHost: "no-other-host"
        case .breaksRules: "breaks-rules"
        case .deadlock: "deadlock"
        case .noRoomAfterFailure: "no-room-after-failure"
        case .loadIsNotOfVMs: "load-is-not-of-vms"
        case .overloadPasses: "overload-passes"
        case .notDetailed: "not-detailed"
        }
    }

    /// The rules that the VM breaks, where that matters.
    public var brokenRules: [BrokenRule] { if case .breaksRules(let rules, _) = self { rules } else { [] } }

    /// The codes of what speaks against each of the other hosts; empty where that is not the reason.
    public var obstacleCodes: [String] {
        switch self {
        case .noTarget(let obstacles): Set(obstacles.map(\.obstacle.code)).sorted()
        case .breaksRules(_, let reason): reason.obstacleCodes
        default: []
        }
    }
}
