// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Escort
import Fleet
import Glibc
import HostAgent
import Identity
import Ledger
import LibvirtDriver
import Logging
import Settings

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the agent until SIGINT or SIGTERM",
        discussion: """
            Stopping the agent interrupts nothing: a running migration continues in libvirt, and the agent finds out its \
            outcome when it runs again. Tunnels and gates remain in place.
            """
    )

    @OptionGroup var options: AgentOptions

    @Option(
        help: ArgumentHelp(
            "Record the agent's input and actions for 'evenkeel replay'. If the file exists, FILE.2, FILE.3 and so on "
                + "are used. A write error ends the recording, not the agent.",
            valueName: "file"
        )
    )
    var record: String?

    static let lockPath = "/run/evenkeel-agent.lock"

    func run() async throws {
        let (settings, host) = try options.settings()
        let lock = try ProcessLock(path: Self.lockPath, purpose: "agent")
        let logger = Logger(label: host.rawValue, factory: { StreamLogHandler.standardError(label: $0) })
        let identity = try await options.identity(settings, of: host)
        let roster = identity.map { CurrentRoster($0.roster) }
        for weakness in settings.weaknesses { logger.warning("\(weakness)") }
        let service = AgentService(
            settings: settings,
            host: host.rawValue,
            ledger: try ledger(settings, of: host, identity, roster),
            hypervisor: LibvirtHypervisor(uri: settings.hypervisorURI),
            channels: try options.channels(settings, of: host, identity, roster),
            logger: logger,
            record: record,
            identity: upkeep(identity, roster, settings, logger),
            journal: marksPath(settings, of: host) + ".orders",
            closures: marksPath(settings, of: host) + ".closed",
            definitions: OwnDefinitions(
                inLedger: settings.ledger.folder,
                host: host,
                signedBy: settings.ledger.unsigned ? nil : identity?.signingKey
            )
        )
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            group.addTask {
                await shutdownSignal()
                // Exit at once: cancelling would end the migrations that this host is carrying out. Skip the exit
                // handlers of libvirt and OpenSSL: other threads still use both.
                _exit(EXIT_SUCCESS)
            }
        }
        withExtendedLifetime(lock) {}
    }

    private func marksPath(_ settings: Settings, of host: HostName) -> String {
        settings.ledger.marks ?? LedgerMarks.defaultPath(of: .host(host))
    }

    /// Returns the ledger; the identity's key signs records, and the roster, which `upkeep` renews, verifies them.
    private func ledger(
        _ settings: Settings,
        of host: HostName,
        _ identity: MemberIdentity?,
        _ roster: CurrentRoster?
    ) throws -> SharedLog {
        var options = SharedLog.Options()
        options.lockWait = settings.ledger.lockTimeout
        options.segmentBytes = Int(clamping: settings.ledger.segmentBytes)
        let retention = settings.ledger.retention
        options.retention = [.load: retention.load, .orders: retention.orders, .reports: retention.reports]
            .mapValues { Retention(age: $0.age, bytes: Int(clamping: $0.bytes)) }
        let writer = LedgerWriter.host(host)
        let security: LedgerSecurity
        if settings.ledger.unsigned {
            security = .unsigned
        } else if let identity, let roster {
            security = .signed(by: identity.signingKey) { roster.roster }
        } else {
            throw SettingsError(
                origin: settings.identity.folder,
                key: "identity.folder",
                reason:
                    "records cannot be signed without an identity; create one with 'evenkeel host add', or set "
                    + "ledger.unsigned on every host"
            )
        }
        return SharedLog(
            folder: settings.ledger.folder,
            writer: writer,
            security: security,
            marks: LedgerMarks(path: marksPath(settings, of: host)),
            options: options
        )
    }

    private func upkeep(
        _ identity: MemberIdentity?,
        _ roster: CurrentRoster?,
        _ settings: Settings,
        _ logger: Logger
    ) -> IdentityUpkeep? {
        guard let identity else { return nil }
        let left = identity.daysLeft
        logger.log(
            level: left < 30 ? .warning : .info,
            "the certificate expires in \(left) days",
            metadata: ["roster": "\(identity.roster.number)"]
        )
        let pki = settings.identity.libvirtPKI.map { PKIFolders(root: $0) }
        return IdentityUpkeep(
            folder: IdentityFolder(settings.identity.folder),
            identity: identity,
            roster: roster,
            ledgerFolder: settings.ledger.folder,
            pki: pki,
            servesMesh: settings.escort.pskFile == nil,
            logger: logger
        )
    }
}
