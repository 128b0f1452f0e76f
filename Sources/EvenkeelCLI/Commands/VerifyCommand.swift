// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Ledger
import Settings

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verify the evidence of one move, or of every move in the ledger",
        discussion: """
            Verifies for each move that
            - its steps are in order, in time, and reported by the right hosts;
            - its evidence is for the ordered channel and the two hosts;
            - suite and mode are strong enough;
            - the target's certificate is in the roster and was not revoked before the move;
            - the probes found the migration ports closed;
            - the byte counts support the verdict.

            A move on a protected channel is unproven if it lacks byte counts or probes, or if its outcome was found \
            only after a restart. Records that the ledger rejects fail the check of every order, because they may be \
            about it; a line left incomplete by a stopped writer does not.

            Exits with code 1 if a check failed or a move is unproven.
            """
    )

    @Argument(help: "ID of the order, as shown by 'evenkeel status' (default: all)")
    var order: String?

    @Flag(help: "Print JSON")
    var json = false

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let view = try await VerificationView.read(
            options.openOperatorsLedger(settings),
            only: order.map { OrderID($0) },
            minimum: settings.escort.minimumSuite,
            roster: options.roster(settings)
        )
        if let order, view.moves.isEmpty {
            throw ValidationError("The ledger has no order '\(order)'. 'evenkeel status' lists the orders.")
        }
        printLine(json ? try jsonText(view) : view.text)
        if view.failed { throw ExitCode(1) }
    }
}
