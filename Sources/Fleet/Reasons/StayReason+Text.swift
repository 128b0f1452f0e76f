// SPDX-License-Identifier: Apache-2.0

extension StayReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stated(let text): text
        case .notRunning(let state): "it is not running (\(state.rawValue))"
        case .paused: "it is paused"
        case .migrating: "it is being migrated already"
        case .cannotMove(let reasons): "it cannot move: \(reasons.text)"
        case .alreadyMoving: "another order is moving it already"
        case .cpuUnknown: "its CPU use is not known yet"
        case .memoryUnknown: "its memory size is not known"
        case .runningTwice(let twice): "\(twice)"
        case .cooldown(let ago, let seconds): "its last move ended \(ago) s ago; the cool-down lasts \(seconds) s"
        case .hostMode(let host, let mode): Self.text(of: mode, of: host)
        case .noAllowedChannel(let host): "\(host) offers no channel that policy.channels allows"
        case .hostHardlyWatched(let host, let seconds, let wanted):
            "\(host) has samples of only \(seconds) s since its last change; an optional move needs \(wanted) s"
        case .awaitsCompanions: "the VMs of its 'together' rule move to its host"
        case .autoBalanceOff: "its auto_balance flag is off"
        case .mirroredDisks(let node): "its disks are mirrored only to \(node) (drbd)"
        case .localDisks(let template): "its disks are local (\(template))"
        }
    }

    private static func text(of mode: HostMode, of host: HostName) -> String {
        switch mode {
        case .settling: "a move that changes \(host) has not settled yet"
        case .stale: "\(host) has no fresh figures"
        case .distrusted: "the claims of \(host) are contradicted"
        case .blocked: "the agent of \(host) cannot take orders"
        case .failed: "\(host) has failed, so no VM can be moved from it: start the VM on another host"
        case .active, .maintenance: "\(host) is \(mode.rawValue)"
        }
    }
}
