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
            "a VM on \(target) occupies the room it needs and itself waits for room; no third host can take either "
                + "meanwhile" + (isLimited ? ", or that would exceed the limit on moves" : "")
        case .noRoomAfterFailure: "if its host failed, no other host would have room for it"
        case .loadIsNotOfVMs: "it has no VM that could move: its load does not come from VMs"
        case .overloadPasses:
            "the expected demand of its VMs fits here as well as elsewhere: no move gains what it costs"
        case .notDetailed(let host): "run 'evenkeel explain \(host)' for the reason why each of its VMs stays"
        }
    }

    /// Joins the obstacles; those that most hosts have come first.
    private static func text(of obstacles: [HostsObstacle]) -> String {
        obstacles.map { (count: $0.count, text: "\($0)") }
            .sorted { ($1.count, $0.text) < ($0.count, $1.text) }.map(\.text).joined(separator: "; ")
    }
}
