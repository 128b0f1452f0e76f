// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The mesh of one host: its gates, its tunnels to all peers, and proof of the traffic through them.
///
/// Acts on the network namespace in which its commands run. `apply` is idempotent: call it at start and periodically,
/// to restore lost state (charon restarted, rules flushed).
public actor Mesh {
    /// Where the mesh's configuration is written, which determines the charon that loads it.
    public enum Placement: Sendable {
        /// In strongSwan's include folder; it is loaded together with the machine's own swanctl.conf.
        ///
        /// For real hosts: other connections remain, and strongSwan loads the mesh itself when it starts.
        case included(folder: String = "/etc/swanctl/conf.d")
        /// In a separate folder, for a charon that has no other connections (the lab).
        case alone(folder: String)

        var file: String {
            switch self {
            case .included(let folder), .alone(let folder): folder + "/evenkeel.conf"
            }
        }
        /// The file that swanctl loads; `nil` for its own swanctl.conf.
        var loaded: (folder: String, file: String)? {
            if case .alone(let folder) = self { (folder, file) } else { nil }
        }
        /// The folder in which swanctl searches for certificates and keys.
        var credentials: CredentialFolder {
            switch self {
            case .alone(let folder): CredentialFolder(path: folder)
            case .included(let folder):
                CredentialFolder(path: "/" + folder.split(separator: "/").dropLast().joined(separator: "/"))
            }
        }
    }

    let local: HostName
    var credentials: any Credentials
    let placement: Placement
    let charon: Charon
    let hostGates: HostGates
    let pinholes: Pinholes
    let runner: CommandRunner
    let migrationPorts: ClosedRange<Int>
    /// The port of the peers' ssh servers; the gates count the traffic to it.
    let sshPort: Int
    let minimum: MinimumSuite

    private(set) var plan: MeshPlan?
    private var implementation: ESPImplementation?
    private var loadedText: String?
    /// Whether charon may not have loaded the written credentials yet; unknown, and therefore true, after a start.
    private var mustReload = true
    private var ownsAddress = false
    /// How often `apply` found that the gates which it had closed were gone.
    public private(set) var lossesOfGates = 0
    /// The claims of the metered moves, by peer.
    var uses: [HostName: WeakUse] = [:]

    struct WeakUse {
        weak var use: TunnelUse?
    }

    /// Creates the mesh of `local` without applying it.
    ///
    /// `socket` is charon's control socket (`unix://…`), `nil` for strongSwan's default; `interface` gets the inner
    /// address.
    public init(
        local: HostName,
        credentials: any Credentials,
        placement: Placement = .included(),
        socket: String? = nil,
        interface: String = "lo",
        migrationPorts: ClosedRange<Int> = Channel.defaultMigrationPorts,
        sshPort: Int = 22,
        minimum: MinimumSuite = .aes256,
        runner: CommandRunner = .local
    ) {
        self.local = local
        self.credentials = credentials
        self.placement = placement
        self.runner = runner
        self.migrationPorts = migrationPorts
        self.sshPort = sshPort
        self.minimum = minimum
        charon = Charon(runner: runner, socket: socket)
        hostGates = HostGates(runner: runner, interface: interface)
        pinholes = Pinholes(runner: runner)
    }

    /// Applies the inventory to this host's gates and tunnels: gates first, then charon.
    ///
    /// If charon is down, the gates are closed all the same, and the error reports charon.
    public func apply(_ inventory: Inventory) async throws {
        let wanted = try MeshPlan(inventory: inventory, local: local)
        let found: ESPImplementation?
        let trouble: (any Error)?
        do {
            found = try await charon.implementation()
            trouble = nil
        } catch {
            found = nil
            trouble = error
        }
        implementation = found ?? implementation
        if let old = plan, old.local.inner != wanted.local.inner, ownsAddress {
            try await hostGates.removeAddress(old.local.inner)
            ownsAddress = false
        }
        let gates = Gates(
            plan: wanted,
            implementation: implementation,
            migrationPorts: migrationPorts,
            sshPort: sshPort
        )
        if plan != nil, await hostGates.areMissing() { lossesOfGates += 1 }
        let labelled: Bool
        do { labelled = try await hostGates.close(gates) } catch {
            // Without gates the mesh is not ready.
            plan = nil
            throw error
        }
        plan = wanted
        ownsAddress = ownsAddress || labelled
        if let trouble { throw trouble }
        guard let found else { return }
        let configuration = try MeshConfiguration(
            plan: wanted,
            credentials: credentials,
            implementation: found,
            minimum: minimum
        )
        let isNew = try await load(configuration)
        try await apply(wanted, configuration, isNew: isNew)
    }

    /// Reads the inventory and charon's state; changes nothing on the host.
    public func observe(_ inventory: Inventory) async throws {
        plan = try MeshPlan(inventory: inventory, local: local)
        implementation = try await charon.implementation()
    }

    /// Returns the packets and bytes that the gates have dropped.
    public func gateCounters() async throws -> GateCounters {
        guard let counters = GateCounters(named: try await hostGates.counters()) else {
            throw EscortError.refused(step: "reading the gates' counters", reason: "some are missing")
        }
        return counters
    }

    /// Removes everything that this instance created on the host: tunnels, address, routes, rules, file.
    ///
    /// Throws `EscortError.streamsUnderWay` while migrations from here are encrypted only by IPsec.
    public func remove() async throws {
        guard let plan else { return }
        try await checkNoStream(plan)
        do {
            try await unload()
        } catch EscortError.charonNotRunning {
            // A charon that does not run has nothing loaded.
        }
        // If a migration began meanwhile, the gates hold it and stay in place; from here on none can begin.
        try await checkNoStream(plan)
        try await PrivateFile.remove(placement.file)
        _ = try await placement.credentials.put([])
        try await hostGates.open(removing: ownsAddress ? plan.local.inner : nil, family: plan.local.inner.family)
        self.plan = nil
        ownsAddress = false
    }

    private func checkNoStream(_ plan: MeshPlan) async throws {
        let ends = try await hostGates.migrations(from: plan.local.inner, to: migrationPorts)
            .map { "\($0.peer) port \($0.port)" }
        guard ends.isEmpty else { throw EscortError.streamsUnderWay(to: ends.sorted()) }
    }

    func peer(_ name: HostName) throws -> MeshPlan.Member {
        guard let plan else { throw EscortError.notApplied }
        return try plan.peer(name)
    }

    /// Whether the mesh is applied (or observed) and charon's ESP implementation is known.
    var isReady: Bool { plan != nil && implementation != nil }

    func ready() throws(EscortError) -> (MeshPlan, ESPImplementation) {
        guard let plan, let implementation else { throw .notApplied }
        return (plan, implementation)
    }

    /// Loads the configuration into charon if it changed, and returns whether it did.
    private func load(_ configuration: MeshConfiguration) async throws -> Bool {
        let present = try await charon.connectionNames()
        let ours = present.filter { $0.hasPrefix(MeshPlan.prefix) }
        let renewed = try await placement.credentials.put(credentials.files)
        mustReload = mustReload || renewed
        if !mustReload, configuration.text == loadedText, ours == configuration.connections { return false }
        if case .alone = placement, ours != present {
            throw EscortError.foreignConnections(names: present.subtracting(ours).sorted())
        }
        // If a step below fails, charon may have only part of the new configuration.
        loadedText = nil
        try await PrivateFile.write(configuration.text, to: placement.file)
        try await charon.load(placement.loaded, clearing: mustReload)
        mustReload = false
        let missing = configuration.connections.subtracting(try await charon.connectionNames())
        guard missing.isEmpty else {
            throw EscortError.refused(
                step: "loading the mesh",
                reason: "charon does not have \(missing.sorted().joined(separator: ", ")) afterwards;"
                    + " is \(placement.file) included by swanctl.conf?"
            )
        }
        loadedText = configuration.text
        return true
    }

    /// Terminates SAs that the inventory no longer lists, and initiates missing ones.
    ///
    /// Right after loading, only one side initiates. The other side does so at a later call if the SA is still missing.
    /// For example, its charon restarted while the peer kept the old SA.
    private func apply(_ plan: MeshPlan, _ configuration: MeshConfiguration, isNew: Bool) async throws {
        let associations = try await charon.associations()
        let ended = Set(associations.map(\.name)).filter {
            $0.hasPrefix(MeshPlan.prefix) && !configuration.connections.contains($0)
        }
        for name in ended { try await charon.terminate(name) }
        for peer in plan.peers where !isNew || plan.initiates(to: peer) {
            let present = associations.filter { $0.name == peer.connection }
            if present.isEmpty || plan.initiates(to: peer) && present.allSatisfy(\.hasLostItsChild) {
                try await charon.beginInitiating(peer.connection)
            }
        }
    }

    private static let removedText = "# Made by evenkeel-agent; the mesh was removed.\n"

    private func unload() async throws {
        loadedText = nil
        try await PrivateFile.write(Self.removedText, to: placement.file)
        try await charon.load(placement.loaded, clearing: false)
        for association in try await charon.associations() where association.name.hasPrefix(MeshPlan.prefix) {
            try await charon.terminate(association.name)
        }
        loadedText = Self.removedText
        mustReload = true
    }
}
