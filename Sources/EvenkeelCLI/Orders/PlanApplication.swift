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

        var description: String {
            switch self {
            case .mode(.automatic): "policy.mode is automatic: the controller applies plans itself"
            case .mode(let mode): "policy.mode is \(mode.rawValue): --apply requires policy.mode manual"
            case .failed(let failed, let all): "\(failed) of \(all) moves failed or leaked"
            }
        }
    }

    /// Throws unless the mode is `manual`.
    static func check(_ settings: Settings) throws(Refused) {
        guard settings.policy.mode == .manual else { throw .mode(settings.policy.mode) }
    }

    func run(say: (String) -> Void) async throws {
        let moves = plan.moves.filter { $0.wave == 0 }
        var orders: [MigrationOrder] = []
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
            try await ledger.append(OrderRecord.migrate(order: order))
            say("order \(order.id): move \(order.vmName) from \(order.source) to \(order.target)")
            orders.append(order)
        }
        for order in orders {
            do {
                let move = try await ManualOrder.follow(order, in: ledger, settings: settings) { _ in }
                try ManualOrder.check(move)
                say(ManualOrder.summary(move))
            } catch let error as ManualOrderError {
                failed += 1
                say("\(order.vmName): \(error)")
            }
        }
        guard failed == 0 else { throw Refused.failed(failed, of: moves.count) }
        if plan.waves > 1 { say("Wave 1 of \(plan.waves) done. Run the command again for the next.") }
    }
}
