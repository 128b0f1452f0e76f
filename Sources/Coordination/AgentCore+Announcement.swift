// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension AgentCore {
    /// An alert for the operator.
    public enum Announcement: Codable, Sendable, Equatable {
        case reportRefused
        case duplicate(OrderID, vm: String, OrderFailure)
        /// A VM that had moved away is on this host again.
        case returned(OrderID, vm: String, OrderFailure)
        /// The VM of a sealed order runs here, although the order had failed.
        case runsAfterEnd(OrderID, vm: String, host: HostName)
        /// The target has not confirmed that the definition of a VM that has moved there is on its disk.
        case definitionNotConfirmed(OrderID, vm: String, target: HostName)
        case vmIsGone(OrderID, vm: String, host: HostName)
        case copyNotRemoved(OrderID, vm: String, host: HostName, detail: String)
        /// A failed offline move has left the VM's definition on its target, although the VM is active on the source.
        case definitionNotRemoved(OrderID, vm: String, on: HostName, detail: String)
        /// A VM that starts with its host may no longer do so after a move.
        case autostartLost(OrderID, vm: String, AutostartTrouble)
    }

    /// Why no agent sets a VM to start with its host after a move.
    public enum AutostartTrouble: Codable, Sendable, Equatable {
        /// The order has ended, and it is not known where the VM is.
        case placeUnknown
        /// The ledger has lost whether the VM starts with its host; the move has turned that off.
        case notRecorded
        /// The target's agent is of an earlier version, which does not set it.
        case notTakenOver(HostName)
    }
}
