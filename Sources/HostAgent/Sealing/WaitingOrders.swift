// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The last logged reason for which each order waits: attempts repeat every few seconds, but are not logged each time.
actor WaitingOrders {
    private var reasons: [OrderID: String] = [:]

    /// Returns whether the reason must be logged: the order waits, for another reason than before.
    ///
    /// `nil`: it no longer waits.
    func isNews(_ reason: String?, of order: OrderID) -> Bool {
        defer { reasons[order] = reason }
        return reason != nil && reasons[order] != reason
    }
}
