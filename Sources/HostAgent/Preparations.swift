// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What the source's agent saw when it accepted an order, and needs when the move begins.
struct Preparation: Sendable, Equatable {
    /// The target's gates, before they were opened for the move.
    var probes: [GateProbe]
    var memoryBytes: UInt64
}

/// The preparations of orders that were accepted and have not begun.
actor Preparations {
    private var kept: [(order: OrderID, preparation: Preparation)] = []
    private var gates: [(order: OrderID, seconds: Double)] = []

    /// An order that its target refused leaves an entry behind: the oldest go.
    private static let most = 256

    func keep(_ preparation: Preparation, for order: OrderID) {
        kept.removeAll { $0.order == order }
        kept.append((order, preparation))
        if kept.count > Self.most { kept.removeFirst() }
    }

    /// Remembers how long it took to open the gates for an order's source.
    func noteGate(of order: OrderID, seconds: Double) {
        gates.removeAll { $0.order == order }
        gates.append((order, seconds))
        if gates.count > Self.most { gates.removeFirst() }
    }

    /// The report with how long the gates took, where it tells of a target's consent.
    func timed(_ report: OrderReport) -> OrderReport {
        guard case .prepared = report.step else { return report }
        var report = report
        report.gateSeconds = gates.first { $0.order == report.order }?.seconds
        return report
    }

    func take(_ order: OrderID) -> Preparation? {
        guard let index = kept.firstIndex(where: { $0.order == order }) else { return nil }
        return kept.remove(at: index).preparation
    }
}
