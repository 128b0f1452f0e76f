// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Logging

/// What earlier runs have begun according to the journal, and what searches have found.
extension AgentService {
    /// Returns the orders that earlier runs have begun; none if the journal cannot be read: then the ledger alone decides.
    func ordersBegunBefore() async -> [OrderID] {
        guard let journal else { return [] }
        do {
            return try await Blocking.onStorage(within: .hangLimit, "reading the begun orders") {
                try journal.orders(with: .begun)
            }
        } catch {
            logger.error(
                "the journal cannot be read: which moves had begun is decided by the ledger alone",
                metadata: ["reason": "\(error)"]
            )
            return []
        }
    }

    /// Logs the orders of this source that are begun in the journal, and not in the ledger.
    func reportUnseenBeginnings(_ begun: [OrderID], of orders: [OrderID: OrderState]) {
        for state in begun.compactMap({ orders[$0] }) where state.order.source == host && state.startedAt == nil {
            logger.critical(
                """
                order \(state.order.id): the journal shows that \(state.order.vmName) had begun to move, and the ledger does \
                not. It was rolled back or altered: check its storage. The agent checks where the VM is
                """
            )
        }
    }

    /// Logs what a search has found out about a move whose end was not seen.
    func logFinding(_ report: OrderReport) {
        switch report.step {
        case .done(let outcome, _):
            guard let note = outcome.note else { return }
            logger.notice("order \(report.order): \(note)")
        case .failed(let failure):
            guard case .inquiry = failure.reason else { return }
            let level: Logger.Level = failure.kind == .inDoubt ? .error : .notice
            logger.log(level: level, "order \(report.order): \(failure.text)")
        default: return
        }
    }
}
