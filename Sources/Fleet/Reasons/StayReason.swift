// SPDX-License-Identifier: Apache-2.0

/// Why a VM may not leave its host now.
///
/// Indirect (boxed), because the planner's search copies units that hold one.
public indirect enum StayReason: Codable, Sendable, Hashable {
    /// The text of a snapshot file.
    case stated(String)
    case notRunning(VMState)
    case paused
    case migrating
    /// Its host's agent states why it cannot leave the host.
    case cannotMove(CannotMove)
    /// Another order is moving it.
    case alreadyMoving
    case cpuUnknown
    case memoryUnknown
    case runningTwice(RunningTwice)
    /// Its last move has just ended; it stays for the policy's cool-down.
    case cooldown(secondsAgo: Int64, seconds: Int64)
    /// The mode of its host prevents it.
    case hostMode(HostName, HostMode)
    /// Its host offers no channel that `policy.channels` allows.
    case noAllowedChannel(HostName)
    /// Its host's history since its last change is shorter than the short window.
    case hostHardlyWatched(HostName, seconds: Int64, wantedSeconds: Int64)
    /// The other VMs of its `together` rule move to its host.
    case awaitsCompanions
    /// Ganeti: auto balance is off.
    case autoBalanceOff
    /// Ganeti: its disks are mirrored to one node only.
    case mirroredDisks(to: String)
    /// Ganeti: its disks are on its node.
    case localDisks(template: String)

    /// A stable code for programs.
    public var code: String {
        switch self {
        case .stated: "stated"
        case .notRunning: "not-running"
        case .paused: "paused"
        case .migrating: "migrating"
        case .cannotMove(let reasons): reasons.code
        case .alreadyMoving: "already-moving"
        case .cpuUnknown: "cpu-unknown"
        case .memoryUnknown: "memory-unknown"
        case .runningTwice: "running-twice"
        case .cooldown: "cooldown"
        case .hostMode(_, let mode): "host-\(mode.rawValue)"
        case .noAllowedChannel: "no-allowed-channel"
        case .hostHardlyWatched: "host-hardly-watched"
        case .awaitsCompanions: "awaits-companions"
        case .autoBalanceOff: "auto-balance-off"
        case .mirroredDisks: "mirrored-disks"
        case .localDisks: "local-disks"
        }
    }
}
