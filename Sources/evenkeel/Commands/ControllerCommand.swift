// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings
import Ledger
import Commands
import Controller
import Logging

struct ControllerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controller",
        abstract: "Run the controller: read the ledger, decide, order moves.",
        discussion: "Runs until SIGINT or SIGTERM. One controller at a time can use a ledger."
    )

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let settings = try options.settings()
        let lock = try ProcessLock(
            path: "\(settings.ledger.folder)/controller.lock",
            purpose: "controller on this ledger"
        )
        let service = ControllerService(
            settings: settings,
            ledger: options.openLedger(settings, as: .controller),
            logger: Logger(label: "controller", factory: { StreamLogHandler.standardError(label: $0) })
        )
        _ = try? await cancellingOnShutdownSignals { try await service.run() }
        withExtendedLifetime(lock) {}
    }
}
