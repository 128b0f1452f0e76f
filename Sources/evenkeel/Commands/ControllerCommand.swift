// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings
import Ledger
import Commands
import Controller
import Fleet
import Logging

struct ControllerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controller",
        abstract: "Run the controller: read the ledger, decide, order moves.",
        discussion: "Runs until SIGINT or SIGTERM. One controller at a time can use a ledger."
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(
        help: ArgumentHelp(
            "Record what the controller is told and what it decides, for 'evenkeel replay'. Where the file is there, "
                + "FILE.2 and so on is written. What cannot be written ends the recording, not the controller.",
            valueName: "file"
        )
    )
    var record: String?

    func run() async throws {
        let settings = try options.settings()
        let ledger = try options.openControllersLedger(settings)
        // Before the lock: below a mount point whose storage is missing it would exclude nobody.
        _ = try await ledger.read(OrderRecord.self, from: nil, limit: 1)
        let path = "\(settings.ledger.folder)/controller.lock"
        let lock = try ProcessLock(path: path, purpose: "controller on this ledger")
        let logger = Logger(label: "controller", factory: { StreamLogHandler.standardError(label: $0) })
        if settings.ledger.unsigned {
            logger.warning("records are not signed (ledger.unsigned): whoever can write to the ledger can order moves")
        }
        let service = ControllerService(settings: settings, ledger: ledger, logger: logger, record: record)
        // Cancelled is how it is meant to end.
        _ = try? await cancellingOnShutdownSignals { await service.run() }
        withExtendedLifetime(lock) {}
    }
}
