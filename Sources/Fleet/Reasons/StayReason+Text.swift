// SPDX-License-Identifier: Apache-2.0

extension StayReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stated(let text): text
        case .notRunning(let state): "it is not running (\(state.rawValue))"
        case .paused: "it is paused"
        case .migrating: "it is being migrated already"
        case .alreadyMoving: "it is on the move already"
        case .cpuUnknown: "its CPU use is not known yet"
        case .memoryUnknown: "its memory is not known"
        case .runningTwice(let twice): "\(twice)"
        case .cooldown(let ago, let seconds): "its last move ended \(ago) s ago; it stays put for \(seconds) s"
        case .hostMode(let host, let mode): Self.text(of: mode, of: host)
        case .noAllowedChannel(let host): "\(host) has no channel that policy.channels allows"
        case .hostHardlyWatched(let host, let seconds, let wanted):
            "\(host) has been watched for \(seconds) s since its last change, and "
                + "\(wanted) s are wanted before a move that is not needed"
        case .awaitsCompanions: "the VMs it must be together with are to come to it"
        case .autoBalanceOff: "its auto balance is off"
        case .mirroredDisks(let node): "its disks are mirrored to \(node) alone (drbd)"
        case .localDisks(let template): "its disks are local (\(template))"
        }
    }

    private static func text(of mode: HostMode, of host: HostName) -> String {
        switch mode {
        case .settling: "a move that changes \(host) has not settled yet"
        case .stale: "\(host) has no fresh figures"
        case .distrusted: "what \(host) claims of itself is not believed"
        case .failed: "\(host) has failed, nothing can be moved from it: start the VM elsewhere"
        case .active, .maintenance: "\(host) is \(mode.rawValue)"
        }
    }
}
