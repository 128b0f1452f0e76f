// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Escort
import Fleet
import Foundation
import HostAgent
import Identity
import Ledger
import Settings

/// Options that all commands of the agent share.
struct AgentOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Configuration file (default: \(Settings.defaultFile), if it exists)",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Set one configuration key; overrides the environment and the file (repeatable)",
            valueName: "key=value"
        )
    )
    var set: [String] = []

    /// Returns the configuration and this host's name in it.
    func settings() throws -> (Settings, HostName) {
        let settings = try Settings.ofThisProcess(file: config, flags: set)
        let host = HostName(settings.host ?? ProcessInfo.processInfo.hostName)
        guard settings.inventory[host] != nil else {
            throw SettingsError(
                origin: "hosts",
                key: "",
                reason: "this host, '\(host)', is not listed; add it, or set the key 'host' to its name"
            )
        }
        return (settings, host)
    }

    /// Returns this host's channels; `roster` provides the peers' certificates and is renewed while the agent runs.
    func channels(
        _ settings: Settings,
        of host: HostName,
        _ identity: MemberIdentity?,
        _ roster: CurrentRoster?
    ) throws -> Channels {
        let usesCertificates = settings.escort.pskFile == nil
        return Channels(
            mesh: try mesh(settings, of: host, identity),
            tls: identity.map {
                TLSFiles(
                    certificate: $0.certificatePath,
                    key: $0.keyPath,
                    anchors: $0.anchorsPath,
                    revocations: $0.revocationsPath
                )
            },
            ssh: settings.escort.sshURI.map { SSHAccess(uriTemplate: $0) },
            configured: settings.escort.channels
        ) { peer in
            guard usesCertificates, let pem = roster?.roster[.host(peer)]?.certificate else { return nil }
            return try? await Certificate(pem: pem, path: "roster: \(peer)").facts
        }
    }

    /// Returns this host's verified identity; `nil` if the mesh uses pre-shared keys and there is none.
    func identity(_ settings: Settings, of host: HostName) async throws -> MemberIdentity? {
        let folder = settings.identity.folder
        if settings.escort.pskFile != nil, !FileManager.default.fileExists(atPath: folder) { return nil }
        let own = IdentityFolder(folder)
        let identity: MemberIdentity
        // The ledger's storage may be dead, and the gates must not wait for it. So `IdentityUpkeep` applies a newer
        // roster; only if the identity cannot be loaded without one is it fetched here.
        do { identity = try await own.load() } catch {
            _ = try? await own.update(fromLedger: settings.ledger.folder)
            identity = try await own.load()
        }
        guard identity.name == .host(host) else {
            throw SettingsError(
                origin: folder,
                key: "identity.folder",
                reason: "the folder holds the identity of \(identity.name), but this host is '\(host)'"
            )
        }
        return identity
    }

    func mesh(_ settings: Settings, of host: HostName, _ identity: MemberIdentity?) throws -> Mesh {
        let folder = settings.escort.folder
        let credentials: any Credentials
        if let keys = settings.escort.pskFile {
            credentials = try PreSharedKeys(contentsOf: keys)
        } else if let identity {
            credentials = try CertificateCredentials(identity)
        } else {
            throw SettingsError(
                origin: folder,
                key: "identity.folder",
                reason: "this host has no identity; create one with 'evenkeel host add'"
            )
        }
        return Mesh(
            local: host,
            credentials: credentials,
            placement: settings.escort.ownCharon ? .alone(folder: folder) : .included(folder: folder),
            socket: settings.escort.viciSocket,
            migrationPorts: settings.escort.migrationPorts,
            sshPort: settings.escort.sshURI.flatMap { SSHAccess(uriTemplate: $0).port } ?? 22,
            minimum: settings.escort.minimumSuite
        )
    }
}
