// SPDX-License-Identifier: Apache-2.0
import HostOS
import ArgumentParser
import Fleet
import Ledger
import Settings

struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel an order; its VM stays on the source"
    )

    @Argument(help: "ID of the order, as shown by 'evenkeel status'")
    var order: String

    @Option(help: "Reason, for the record")
    var reason = "cancelled by an operator"

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let ledger = try await options.openOperatorsLedger(settings)
        let view = try await FleetView.read(ledger, settings: settings)
        guard let move = view.moves.first(where: { $0.order.id.rawValue == order }) else {
            throw ValidationError("The ledger has no order '\(order)'. 'evenkeel status' lists the orders.")
        }
        guard !move.stage.hasEnded else {
            throw ValidationError("Order '\(order)' has already ended (\(move.stage)).")
        }
        try await ledger.append(OrderRecord.cancel(id: OrderID(order), at: .now, reason: reason))
        print("order \(order): cancellation requested; 'evenkeel status' shows when it has ended")
    }
}
