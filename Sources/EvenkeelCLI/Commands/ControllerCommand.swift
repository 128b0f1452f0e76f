// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Controller
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
        // Before the lock: below a mount point without its storage, the lock would exclude no other controller.
        _ = try await ledger.read(OrderRecord.self, from: nil, limit: 1)
        let path = "\(settings.ledger.folder)/controller.lock"
        let lock = try ProcessLock(path: path, purpose: "controller on this ledger")
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
            closures: marks + ".closed"
        ) {
            roster?.roster.enrolledHardware ?? [:]
        }
        // Cancellation is the normal end.
        do {
            try await cancellingOnShutdownSignals {
                try await withThrowingDiscardingTaskGroup { group in
                    if let roster {
                        group.addTask { await Self.keepUp(roster, folder, ledger: settings.ledger.folder, logger) }
                    }
                    try await service.run()
                    group.cancelAll()
                }
            }
        } catch is CancellationError {}
        withExtendedLifetime(lock) {}
    }

    /// Stores newer rosters while it runs: hosts and certificates change, and an older roster must not
    /// apply after a restart.
    private static func keepUp(
        _ roster: CurrentRoster,
        _ folder: IdentityFolder,
        ledger: String,
        _ logger: Logger
    ) async {
        var lastFailure: String?
        while !Task.isCancelled {
            do {
                try await takeUp(roster, folder, ledger, logger)
                lastFailure = nil
            } catch {
                let failure = "\(error)"
                if failure != lastFailure, !Task.isCancelled { logger.error("cannot update the roster: \(failure)") }
                lastFailure = failure
            }
            try? await Task.sleep(for: .seconds(5))
        }
    }

    private static func takeUp(
        _ roster: CurrentRoster,
        _ folder: IdentityFolder,
        _ ledger: String,
        _ logger: Logger
    ) async throws {
        let failure: (any Error)?
        do {
            _ = try await folder.update(fromLedger: ledger)
            failure = nil
        } catch { failure = error }
        let stored = try folder.storedRoster()
        if stored != roster.roster {
            // It applies even if this controller is no longer a member, which loading it would report.
            roster.roster = stored
            logger.notice("roster \(stored.number) is in force")
            _ = try await folder.load()
        }
        if let failure { throw failure }
    }
}
