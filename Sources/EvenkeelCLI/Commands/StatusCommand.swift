// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Ledger

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show hosts, VMs, load and moves"
    )

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Print JSON")
    var json = false

    @Option(help: "Number of latest moves to show")
    var moves = 10

    func validate() throws {
        guard moves >= 0 else { throw ValidationError("--moves must not be negative.") }
    }

    func run() async throws {
        let settings = try options.settings()
        let view = try await FleetView.read(
            try await options.openOperatorsLedger(settings),
            settings: settings,
            hardware: options.enrolledHardware(settings)
        )
        print(json ? try jsonText(view) : view.text(lastMoves: moves))
    }
}
