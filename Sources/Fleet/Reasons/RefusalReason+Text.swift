// SPDX-License-Identifier: Apache-2.0

extension RefusalReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stays(let reason): "\(reason)"
        case .noTarget(let obstacles): Self.text(of: obstacles)
        case .noOtherHost: "there is no other host"
        case .breaksRules(let rules, let reason):
            "it breaks \(rules.map { "\($0.name) (\($0.kind.rawValue))" }.joined(separator: ", ")); \(reason)"
        case .deadlock(let target, let isLimited):
            "the room it needs on \(target) is taken by a VM that waits for other room, and no third host can take "
                + "either meanwhile" + (isLimited ? ", or that would be a move too many" : "")
        case .noRoomAfterFailure: "if its host failed, it would find no room on another"
        case .loadIsNotOfVMs: "no VM is here that could move: the load is not of VMs"
        case .overloadPasses:
            "what its VMs are expected to want has room here, or as much as elsewhere: no move gains what it costs"
        case .notDetailed(let host): "evenkeel explain \(host) says why each of its VMs stays"
        }
    }

    /// What most hosts have first.
    private static func text(of obstacles: [HostsObstacle]) -> String {
        obstacles.map { (count: $0.count, text: "\($0)") }
            .sorted { ($1.count, $0.text) < ($0.count, $1.text) }.map(\.text).joined(separator: "; ")
    }
}
