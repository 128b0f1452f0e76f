// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Ledger
public import Logging

/// Keeps a service's roster in step with the roster in the ledger's folder.
///
/// Hosts and certificates change while it runs, and an older roster must not apply after a restart.
public struct RosterFollower: Sendable {
    private let folder: IdentityFolder
    private let ledgerFolder: String
    private let current: CurrentRoster
    private static let interval: Duration = .seconds(5)

    public init(_ current: CurrentRoster, folder: IdentityFolder, ledgerFolder: String) {
        self.current = current
        self.folder = folder
        self.ledgerFolder = ledgerFolder
    }

    /// Runs until it is cancelled; logs each new roster, and each failure once.
    public func run(_ logger: Logger) async {
        let updating = LastingFailure()
        // Until it has succeeded: it reports that this service is no longer a member, or that its keys are invalid.
        var mustLoad = false
        while !Task.isCancelled {
            do {
                try await update(logger, &mustLoad)
                if updating.take(nil) == .ended { logger.notice("the roster can be updated again") }
            } catch {
                if case .began(let reason) = updating.take("\(error)"), !Task.isCancelled {
                    logger.error("cannot update the roster: \(reason)")
                }
            }
            try? await Task.sleep(for: Self.interval)
        }
    }

    func update(_ logger: Logger, _ mustLoad: inout Bool) async throws {
        let failure: (any Error)?
        do {
            _ = try await folder.update(fromLedger: ledgerFolder)
            failure = nil
        } catch { failure = error }
        let stored = try folder.storedRoster()
        if stored != current.roster {
            // It applies even if this service is no longer a member, which loading it would report.
            current.roster = stored
            mustLoad = true
            logger.notice("roster \(stored.number) is in force")
        }
        if mustLoad {
            _ = try await folder.load()
            mustLoad = false
        }
        if let failure { throw failure }
    }
}
