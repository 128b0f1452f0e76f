// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Why orders wait, as people were last told: what is tried every few seconds is not told each time.
actor WaitingOrders {
    private var reasons: [OrderID: String] = [:]

    /// Whether people have to be told: it waits, for another reason than before.
    ///
    /// `nil`: it waits no more.
    func isNews(_ reason: String?, of order: OrderID) -> Bool {
        defer { reasons[order] = reason }
        return reason != nil && reasons[order] != reason
    }
}
