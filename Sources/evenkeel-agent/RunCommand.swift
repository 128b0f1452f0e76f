// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Commands
import Escort
import Fleet
import Glibc
import HostAgent
import Ledger
import LibvirtDriver
import Logging
import Settings

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the agent until SIGINT or SIGTERM (the default).",
        discussion: """
            Stopping it cuts nothing: a migration under way goes on in libvirt, and the agent, started again, finds out \
            what became of it. Tunnels and gates stay as they are.
            """
    )

    @OptionGroup var options: AgentOptions

    @Option(
        help: ArgumentHelp(
            "Record what the agent is told and what it does, for 'evenkeel replay'. Where the file is there, FILE.2 "
                + "and so on is written. What cannot be written ends the recording, not the agent.",
            valueName: "file"
        )
    )
    var record: String?

    static let lockPath = "/run/evenkeel-agent.lock"

    func run() async throws {
        let (settings, host) = try options.settings()
        let lock = try ProcessLock(path: Self.lockPath, purpose: "agent")
        let logger = Logger(label: host.rawValue, factory: { StreamLogHandler.standardError(label: $0) })
        if settings.ledger.unsigned {
            logger.warning("records are not signed (ledger.unsigned): whoever can write to the ledger can order moves")
        }
        let service = AgentService(
            settings: settings,
            host: host.rawValue,
            ledger: try ledger(settings, of: host),
            hypervisor: LibvirtHypervisor(uri: settings.hypervisorURI),
            channels: try options.channels(settings, of: host),
            logger: logger,
            record: record
        )
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            group.addTask {
                await shutdownSignal()
                // At once, and not by cancelling: that would end the migrations this host is carrying out. Without exit
                // handlers: libvirt's and OpenSSL's would run beside threads that use them.
                _exit(EXIT_SUCCESS)
            }
        }
        withExtendedLifetime(lock) {}
    }

    private func ledger(_ settings: Settings, of host: HostName) throws -> SharedLog {
        var options = SharedLog.Options()
        options.lockWait = settings.ledger.lockTimeout
        options.segmentBytes = Int(clamping: settings.ledger.segmentBytes)
        let writer = LedgerWriter.host(host)
        return SharedLog(
            folder: settings.ledger.folder,
            writer: writer,
            security: settings.ledger.unsigned
                ? .unsigned
                : try MemberFolder(settings.identity.folder).security(
                    inLedger: settings.ledger.folder,
                    requiringKey: true
                ),
            marks: LedgerMarks(path: settings.ledger.marks ?? LedgerMarks.defaultPath(of: writer)),
            options: options
        )
    }
}
