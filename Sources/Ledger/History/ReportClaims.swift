// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What the lines of reports claim about known orders, whoever wrote them.
///
/// It only decides which orders are certainly not needed: a forged line can make a reader read more, and hide nothing.
struct ReportClaims: Sendable {
    /// The orders of which no report was found, except questions and answers.
    ///
    /// Those alone are what retention leaves of an order whose source has searched for long.
    private(set) var unreported: Set<String>
    /// The orders whose sources may search for a second copy if they fail; the others are ignored.
    private let searchable: Set<String>
    private var begun: Set<String> = []
    private var failed: Set<String> = []

    init(of orders: [MigrationOrder], searchable: Bool) {
        unreported = Set(orders.map(\.id.rawValue))
        self.searchable = searchable ? unreported : []
    }

    /// Returns whether an order may have begun to move its VM.
    func hasBegun(_ order: OrderID) -> Bool { begun.contains(order.rawValue) }

    /// Notes a line, and returns whether it must be verified and decoded: ends, and the searches after failures.
    mutating func note(_ order: String, _ step: String) -> Bool {
        if step == "asked" || step == "answered" { return failed.contains(order) }
        unreported.remove(order)
        switch step {
        case "running":
            if searchable.contains(order) { begun.insert(order) }
            return false
        case "failed":
            if searchable.contains(order) { failed.insert(order) }
            return true
        default: return step == "done"
        }
    }

    /// Notes a record that was read without a look at its line.
    mutating func note(_ report: OrderReport) {
        guard !report.step.isOfSearch else { return }
        unreported.remove(report.order.rawValue)
        if case .running = report.step, searchable.contains(report.order.rawValue) {
            begun.insert(report.order.rawValue)
        }
    }
}
