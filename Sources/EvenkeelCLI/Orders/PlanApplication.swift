// SPDX-License-Identifier: Apache-2.0
import HostOS
import Balancing
import Controller
import Fleet
import Ledger
import Settings

/// Orders the moves of a plan's first wave; the rest is planned again from the outcome.
struct PlanApplication {
    var plan: Plan
    /// The fleet for which the plan was made.
    var snapshot: FleetSnapshot
    var settings: Settings
    var ledger: any FleetLedger

    enum Refused: Error, CustomStringConvertible {
        case mode(OperatingMode)
        case failed(Int, of: Int)
        /// The operator pressed Ctrl-C: these orders continue, unless they have ended.
        case interrupted([OrderID], of: Int)

        var description: String {
            switch self {
            case .mode(.automatic): "policy.mode is automatic: the controller applies plans itself"
            case .mode(let mode): "policy.mode is \(mode.rawValue): --apply requires policy.mode manual"
            case .failed(let failed, let all): "\(failed) of \(all) moves failed or leaked"
            case .interrupted(let orders, let all):
                orders.isEmpty
                    ? "interrupted; no order continues"
                    : "interrupted: \(orders.count) of \(Units.count(all, "move")) may continue. To cancel, run "
                        + orders.map { "'evenkeel cancel \($0)'" }.joined(separator: " or ")
            }
        }
    }

    /// Throws unless the mode is `manual`.
    static func check(_ settings: Settings) throws(Refused) {
        guard settings.policy.mode == .manual else { throw .mode(settings.policy.mode) }
    }

    /// Throws `Refused.interrupted` if the caller is cancelled.
    func run(say: (String) -> Void) async throws {
        let moves = plan.moves.filter { $0.wave == 0 }
        // The orders that have not ended as far as this command knows.
        var orders: [MigrationOrder] = []
        do { try await run(moves, &orders, say: say) } catch is CancellationError {
            throw Refused.interrupted(orders.map(\.id), of: moves.count)
        }
    }

    private func run(_ moves: [PlannedMove], _ orders: inout [MigrationOrder], say: (String) -> Void) async throws {
        let choice = ChannelChoice(snapshot, policy: settings.policy)
        var failed = 0
        for move in moves {
            let path = Path(source: move.source, target: move.target)
            guard let channel = choice.channel(on: path) else {
                failed += 1
                say("\(move.vmName): \(choice.noChannelReason(on: path))")
                continue
            }
            let order = MigrationOrder(
                move,
                id: OrderID("manual-\(ControllerService.newIdentifier())"),
                channel: channel,
                definition: snapshot.definition(of: move.vm, on: move.source),
                issuedAt: .now,
                lifetime: settings.policy.orderLifetime,
                issuer: .operator
            )
            try Task.checkCancellation()
            orders.append(order)
            try await ledger.append(OrderRecord.migrate(order: order))
            say("order \(order.id): move \(order.vmName) from \(order.source) to \(order.target)")
        }
        for order in orders {
            try Task.checkCancellation()
            do {
                let move = try await ManualOrder.follow(order, in: ledger, settings: settings) { _ in }
                orders.removeAll { $0.id == order.id }
                try ManualOrder.check(move)
                say(ManualOrder.summary(move))
            } catch let error as ManualOrderError {
                failed += 1
                if case .sourceSilent = error {} else { orders.removeAll { $0.id == order.id } }
                say("\(order.vmName): \(error)")
            }
        }
        guard failed == 0 else { throw Refused.failed(failed, of: moves.count) }
        if plan.waves > 1 { say("Wave 1 of \(plan.waves) done. Run the command again for the next.") }
    }
}
