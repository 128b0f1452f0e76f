// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Ledger
import Settings

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "End an order before its time: the VM stays at, or goes on running on, its source."
    )

    @Argument(help: "The order, as 'evenkeel status' shows it.")
    var order: String

    @Option(help: "Why, for the record.")
    var reason = "asked for by hand"

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let ledger = try await options.openOperatorsLedger(settings)
        let view = try await FleetView.read(ledger, settings: settings)
        guard let move = view.moves.first(where: { $0.order.id.rawValue == order }) else {
            throw ValidationError("The ledger has no order '\(order)'.")
        }
        guard !move.stage.hasEnded else {
            throw ValidationError("Order '\(order)' has ended (\(move.stage)).")
        }
        try await ledger.append(OrderRecord.cancel(id: OrderID(order), at: .byTheWallClock, reason: reason))
        print("order \(order) is to be cancelled; 'evenkeel status' shows when it has ended")
    }
}
