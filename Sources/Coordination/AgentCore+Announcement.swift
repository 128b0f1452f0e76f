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
        case vmIsGone(OrderID, vm: String, host: HostName)
        case copyNotRemoved(OrderID, vm: String, host: HostName, detail: String)
    }
}
