// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS

/// What is remembered of orders that wait, because their attempts repeat every few seconds.
actor WaitingOrders {
    /// The failures for which orders wait.
    private var failures: [OrderID: LastingFailure] = [:]
    /// Orders whose autostart is set, and only the journal entry is missing.
    private var withAutostart: Set<OrderID> = []

    func hasSetAutostart(of order: OrderID) -> Bool { withAutostart.contains(order) }
    func noteAutostart(of order: OrderID) { withAutostart.insert(order) }
    func forgetAutostart(of order: OrderID) { withAutostart.remove(order) }

    /// Takes the reason for which an order waits, `nil` if it no longer does; returns what must be logged.
    func change(of order: OrderID, to reason: String?) -> LastingFailure.Change? {
        let failure = failures[order] ?? LastingFailure()
        failures[order] = reason == nil ? nil : failure
        return failure.take(reason)
    }
}
