// SPDX-License-Identifier: Apache-2.0

/// Why a VM is not moved, or a host not relieved.
public indirect enum RefusalReason: Codable, Sendable, Hashable {
    /// The VM may not leave its host.
    case stays(StayReason)
    /// The obstacles on all other hosts.
    case noTarget([HostsObstacle])
    case noOtherHost
    /// It breaks rules where it is, and cannot be moved.
    case breaksRules([BrokenRule], because: RefusalReason)
    /// A cycle of moves has no room to begin; `isLimited`: the policy limits the number of moves.
    case deadlock(target: HostName, isLimited: Bool)
    /// If its host failed, no other host would have room.
    case noRoomAfterFailure
    /// An overloaded host has no VM that could move.
    case loadIsNotOfVMs
    /// A host is judged overloaded, but the expected demand of its VMs causes no overload.
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

    /// A stable code for programs.
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

    /// The rules that the VM breaks, if these are the reason.
    public var brokenRules: [BrokenRule] { if case .breaksRules(let rules, _) = self { rules } else { [] } }

    /// The codes of the obstacles on other hosts; empty if there are none.
    public var obstacleCodes: [String] {
        switch self {
        case .noTarget(let obstacles): Set(obstacles.map(\.obstacle.code)).sorted()
        case .breaksRules(_, let reason): reason.obstacleCodes
        default: []
        }
    }
}
