// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Logging

/// The beginnings of moves in the journal.
extension AgentService {
    /// Returns the orders that earlier runs have begun; `nil` if the journal cannot be read now.
    func ordersBegunBefore() async -> [OrderID]? {
        guard let journal else { return [] }
        var (orders, failure) = ([OrderID]?.none, String?.none)
        do {
            orders = try await Blocking.onStorage(within: .hangLimit, "reading the begun orders") {
                try journal.orders(with: .begun)
            }
        } catch { failure = "\(error)" }
        logger.log(
            journalReading.take(failure),
            at: .error,
            "the journal cannot be read: until it can, the ledger alone decides which moves had begun",
            ended: "the journal can be read"
        )
        return orders
    }

    /// Reads the orders that earlier runs have begun until that succeeds, and passes them on.
    func keepAskingForBegunOrders(_ events: AgentEvents) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.upkeepInterval)
            guard let begun = await ordersBegunBefore() else { continue }
            await events.send(.begun(begun))
            return
        }
    }

    /// Logs the open orders of this source that are begun in the journal, and not in the ledger.
    func reportUnseenBeginnings(_ begun: [OrderID], of orders: [OrderID: OrderState]) {
        for state in begun.compactMap({ orders[$0] }) {
            guard state.order.source == host, state.startedAt == nil, !state.stage.isFinal else { continue }
            logger.critical(
                """
                order \(state.order.id): the journal shows that \(state.order.vmName) had begun to move, and the ledger does \
                not. The ledger was rolled back or altered: check its storage. The agent looks for the VM
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
