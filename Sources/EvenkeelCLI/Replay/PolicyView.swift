// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import FleetFiles
import Settings

/// A controller's recording compared with the orders that another policy would have given.
struct PolicyView: Encodable {
    enum Verdict: String, Encodable { case same, dropped, new }

    /// An order of one of the two policies, or of both.
    struct Order: Encodable {
        var verdict: Verdict
        var at: Instant?
        var order: MigrationOrder
    }

    var recording: RecordingSummary
    /// The file with the other policy.
    var policy: String
    /// The recorded orders and the new ones, in the order of their events.
    var orders: [Order]

    init(of file: Recording, settings: Settings, policy: String) throws(FleetFileError) {
        var summary = RecordingSummary(file)
        var trial = PolicyTrial(ControllerCore(settings))
        var clock = ReplayClock()
        var orders: [Order] = []
        try file.forEach(of: ControllerCore.self) { step in
            clock.take(step.event)
            summary.count(step.effects, at: clock)
            let outcome = trial.take(step)
            for (verdict, found) in [(Verdict.same, outcome.same), (.dropped, outcome.dropped), (.new, outcome.new)] {
                orders += found.map { Order(verdict: verdict, at: clock.last, order: $0) }
            }
        }
        recording = summary
        self.policy = policy
        self.orders = orders
    }
}

extension PolicyView: TextView {
    var text: String {
        var parts = [recording.text]
        if !orders.isEmpty { parts.append(orderTable) }
        let (same, dropped, new) = (count(.same), count(.dropped), count(.new))
        guard dropped + new > 0 else {
            parts.append("Policy of \(policy): all orders the same.")
            return parts.joined(separator: "\n\n")
        }
        parts.append(
            """
            Policy of \(policy): \(Units.count(same, "order")) the same, \(dropped) dropped, \(new) new.
            After the first difference the comparison is hypothetical: the recorded fleet followed the recorded orders.
            """
        )
        return parts.joined(separator: "\n\n")
    }

    private var orderTable: String {
        TextTable(
            ["", "TIME", "VM", "FROM", "TO", "REASON"],
            orders.map { [$0.verdict.rawValue] + RecordingSummary.Order(at: $0.at, order: $0.order).cells },
            empty: ""
        ).text
    }

    private func count(_ verdict: Verdict) -> Int { orders.count { $0.verdict == verdict } }
}
