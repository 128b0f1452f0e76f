// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Ledger
import Settings

struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the evidence of a move, or of all that the ledger has, again.",
        discussion: """
            For each move: that its steps are in order, in time and of the right hosts, that the evidence is of the \
            ordered channel and of the two hosts, that suite and mode are good enough, that the target's certificate is \
            one that the roster says it had and that was not revoked before, that the probes found the ports shut, and \
            that the bytes bear out the verdict. A move on a protected channel that lacks \
            the figures of its bytes, or probes, or was found out only after a restart, is 'unproven'. Records that \
            the ledger itself refuses are counted, and fail the check of any order: they may have been about it. A \
            line that a stopped writer left torn does not.

            Exit code 1 if anything failed or is unproven.
            """
    )

    @Argument(help: "The order, as 'evenkeel status' shows it; by default all.")
    var order: String?

    @Flag(help: "Print JSON.")
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
        if let order, view.moves.isEmpty { throw ValidationError("The ledger has no order '\(order)'.") }
        printLine(json ? try jsonText(view) : view.text)
        if view.failed { throw ExitCode(1) }
    }
}
