// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Logging

/// The beginnings of moves in the journal, and what is logged about their ends.
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

    /// Logs the open orders of this source that are begun in the journal, and not in the ledger.
    func reportUnseenBeginnings(_ begun: [OrderID], of orders: [OrderID: OrderState]) {
        for state in begun.compactMap({ orders[$0] }) {
            guard state.order.source == host, state.startedAt == nil, !state.stage.isFinal else { continue }
            logger.critical(
                """
                order \(state.order.id): the journal shows that \(state.order.vmName) had begun to move, and the ledger does \
                not. It was rolled back or altered: check its storage. The agent checks where the VM is
                """
            )
        }
    }

    /// Records in the journal that the order begins; returns the failure if that is impossible.
    func reasonNotToBegin(_ order: MigrationOrder) async -> OrderFailure? {
        do {
            if let journal, try await !claimed(order, in: journal) {
                return OrderFailure(.refused, .order(.begunBefore(order.id)), .unknown)
            }
        } catch {
            return OrderFailure(.refused, .order(.beginningNotNoted(detail: "\(error)")), .at(host))
        }
        return nil
    }

    private func claimed(_ order: MigrationOrder, in journal: OrderJournal) async throws -> Bool {
        try await Blocking.onStorage(within: .hangLimit, "recording the begun order") {
            try journal.claim(.begun, of: order, at: .now)
        }
    }

    /// Logs the result of a move.
    func log(_ result: Result<AgentCore.Completion, OrderFailure>, of order: MigrationOrder) {
        switch result {
        case .success(let completion):
            logger.notice(
                "order \(order.id): moved \(order.vmName) to \(order.target)",
                metadata: ["evidence": "\(completion.evidence.verdict.rawValue)"]
            )
            if completion.evidence.verdict == .leak {
                logger.critical("LEAK: the channel to \(order.target) carried less than the hypervisor sent")
            }
        case .failure(let failure):
            let event =
                failure.kind == .inDoubt
                ? "the end of the move was not seen; the agent checks where \(order.vmName) is"
                : "cannot move \(order.vmName)"
            logger.error("order \(order.id): \(event)", metadata: ["reason": "\(failure.text)"])
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
