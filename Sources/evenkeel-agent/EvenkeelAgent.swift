// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Commands
import Escort
import Fleet
import Foundation
import HostAgent
import Ledger
import LibvirtDriver
import Logging
import Settings

@main
struct EvenkeelAgent: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evenkeel-agent",
        abstract: "The agent of one hypervisor host: samples its load and carries out orders.",
        discussion: """
            Runs until SIGINT or SIGTERM. It listens on nothing: it meets the controller in the ledger. Needs root, \
            libvirtd and strongSwan. 'evenkeel configuration' prints every key of the configuration with its meaning.
            """
    )

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The configuration file (default: \(Settings.defaultFile), if it is there).",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Set one key over file and environment; may be repeated.", valueName: "key=value")
    )
    var set: [String] = []

    func run() async throws {
        let settings = try Settings.ofThisProcess(file: config, flags: set)
        let host = settings.host ?? ProcessInfo.processInfo.hostName
        guard settings.inventory[HostName(host)] != nil else {
            throw SettingsError(
                origin: "hosts",
                key: "",
                reason: "this host, '\(host)', is not listed (see key 'host')"
            )
        }
        var options = SharedLog.Options()
        options.lockWait = settings.ledger.lockTimeout
        options.segmentBytes = Int(clamping: settings.ledger.segmentBytes)
        let folder = settings.escort.folder
        let mesh = Mesh(
            local: HostName(host),
            credentials: try PreSharedKeys(contentsOf: settings.escort.pskFile),
            placement: settings.escort.ownCharon ? .alone(folder: folder) : .included(folder: folder),
            socket: settings.escort.viciSocket
        )
        let service = AgentService(
            settings: settings,
            host: host,
            ledger: SharedLog(folder: settings.ledger.folder, writer: .host(HostName(host)), options: options),
            hypervisor: LibvirtHypervisor(uri: settings.hypervisorURI),
            mesh: mesh,
            logger: Logger(label: host, factory: { StreamLogHandler.standardError(label: $0) })
        )
        // The tunnels and the gates stay when the agent stops: closed by default, and no move is cut.
        _ = try? await cancellingOnShutdownSignals { await service.run() }
    }
}
