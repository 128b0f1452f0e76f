// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What is remembered of orders that wait, because their attempts repeat every few seconds.
actor WaitingOrders {
    /// The last logged reason for which each order waits: the same one is not logged again.
    private var reasons: [OrderID: String] = [:]
    /// Orders whose autostart is set, and only the journal entry is missing.
    private var withAutostart: Set<OrderID> = []

    func hasSetAutostart(of order: OrderID) -> Bool { withAutostart.contains(order) }
    func noteAutostart(of order: OrderID) { withAutostart.insert(order) }
    func forgetAutostart(of order: OrderID) { withAutostart.remove(order) }

    /// Returns whether the reason must be logged: the order waits, for another reason than before.
    ///
    /// `nil`: it no longer waits.
    func isNews(_ reason: String?, of order: OrderID) -> Bool {
        defer { reasons[order] = reason }
        return reason != nil && reasons[order] != reason
    }
}
