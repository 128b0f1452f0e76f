// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Escort
import Fleet
import Foundation
import Settings

/// The options that every command of the agent has.
struct AgentOptions: ParsableArguments {
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

    /// The configuration and this host's name in it.
    func settings() throws -> (Settings, HostName) {
        let settings = try Settings.ofThisProcess(file: config, flags: set)
        let host = HostName(settings.host ?? ProcessInfo.processInfo.hostName)
        guard settings.inventory[host] != nil else {
            throw SettingsError(
                origin: "hosts",
                key: "",
                reason: "this host, '\(host)', is not listed (see key 'host')"
            )
        }
        return (settings, host)
    }

    func channels(_ settings: Settings, of host: HostName) throws -> Channels {
        Channels(mesh: try mesh(settings, of: host), tls: nil, configured: settings.escort.channels)
    }

    func mesh(_ settings: Settings, of host: HostName) throws -> Mesh {
        let folder = settings.escort.folder
        return Mesh(
            local: host,
            credentials: try PreSharedKeys(contentsOf: settings.escort.pskFile),
            placement: settings.escort.ownCharon ? .alone(folder: folder) : .included(folder: folder),
            socket: settings.escort.viciSocket,
            migrationPorts: settings.escort.migrationPorts,
            minimum: settings.escort.minimumSuite
        )
    }
}
