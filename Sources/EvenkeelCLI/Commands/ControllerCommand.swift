// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Controller
import HostOS
import Fleet
import Identity
import Ledger
import Logging
import Settings

struct ControllerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controller",
        abstract: "Run the controller: read the ledger, plan, and order moves",
        discussion: "Runs until SIGINT or SIGTERM. Only one controller at a time can use a ledger."
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(
        help: ArgumentHelp(
            "Record the controller's input and decisions for 'evenkeel replay'. If the file exists, FILE.2, FILE.3 and "
                + "so on are used. A write error ends the recording, not the controller.",
            valueName: "file"
        )
    )
    var record: String?

    func run() async throws {
        let settings = try options.settings()
        let folder = IdentityFolder(settings.identity.controller)
        let roster = settings.ledger.unsigned ? nil : CurrentRoster(try await folder.load().roster)
        let ledger = try options.openControllersLedger(settings)
        // Reports missing storage before the lock does.
        _ = try await ledger.read(OrderRecord.self, from: nil, limit: 1)
        let lock = try ControllerLock(ledger: settings.ledger.folder)
        let logger = Logger(label: "controller", factory: { StreamLogHandler.standardError(label: $0) })
        if settings.ledger.unsigned {
            logger.warning(
                "records are not signed (ledger.unsigned): anyone who can write to the ledger can order moves"
            )
        }
        let marks = settings.ledger.marks ?? LedgerMarks.defaultPath(of: .controller)
        let service = ControllerService(
            settings: settings,
            ledger: ledger,
            logger: logger,
            record: record,
            closures: marks + ".closed",
            lock: lock,
            statistics: marks + ".statistics",
            hardware: { roster?.roster.enrolledHardware ?? [:] },
            removed: { Set(roster?.roster.removedHosts.keys.map { $0 } ?? []) }
        )
        // Cancellation is the normal end.
        do {
            try await cancellingOnShutdownSignals {
                try await withThrowingDiscardingTaskGroup { group in
                    if let roster {
                        let follower = RosterFollower(roster, folder: folder, ledgerFolder: settings.ledger.folder)
                        group.addTask { await follower.run(logger) }
                    }
                    try await service.run()
                    group.cancelAll()
                }
            }
        } catch is CancellationError {}
        withExtendedLifetime(lock) {}
    }
}
