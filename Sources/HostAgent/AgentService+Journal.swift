// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Logging

/// The beginnings of moves in the journal.
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
            if let journal, try await !journal.record(.begun, of: order) {
                return OrderFailure(.refused, .order(.begunBefore(order.id)), .unknown)
            }
        } catch {
            return OrderFailure(.refused, .order(.beginningNotNoted(detail: "\(error)")), .at(host))
        }
        return nil
    }
}
