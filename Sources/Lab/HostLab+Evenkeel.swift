// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import FoundationEssentials
public import Ledger
public import Settings

/// The paths of the built programs.
public struct Programs: Sendable {
    public var evenkeel: String
    public var agent: String
    public var lab: String

    /// Creates the paths of programs in one folder, the layout of SwiftPM and of an installation.
    public init(folder: String) {
        evenkeel = "\(folder)/evenkeel"
        agent = "\(folder)/evenkeel-agent"
        lab = "\(folder)/evenkeel-lab"
    }

    /// Returns the programs in the folder of the running program.
    public static func nextToThisProcess() throws -> Programs {
        let path = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return Programs(folder: path.split(separator: "/").dropLast().map { "/\($0)" }.joined())
    }
}

extension HostLab {
    /// The configuration of the lab's fleet: short intervals, so that a demonstration takes minutes.
    public var settings: Settings {
        var settings = Settings()
        settings.ledger.folder = site.ledgerFolder
        settings.ledger.marks = "\(site.stateFolder)/marks-controller.json"
        settings.ledger.pollInterval = .milliseconds(500)
        settings.sampling.interval = .seconds(2)
        settings.decisionInterval = .seconds(2)
        settings.escort.ownCharon = true
        settings.escort.allowPlain = true
        settings.escort.channels = [.ipsec, .tls, .ipsecTLS, .ssh, .sealed]
        settings.escort.sshURI = "qemu+ssh://root@{address}/system?keyfile=\(LabSSH.loginKey)"
        settings.policy = Policy(
            cpu: Thresholds(upper: 0.75, lower: 0.60),
            memory: Thresholds(upper: 0.90, lower: 0.80),
            overloadSamples: 3,
            overloadWindow: 4,
            staleAfter: .seconds(15),
            cooldown: .seconds(120),
            noReturn: .seconds(600),
            movesPerHost: 2,
            movesInAll: 2,
            orderLifetime: .seconds(60)
        )
        settings.migration.timeLimit = .seconds(180)
        settings.migration.stallLimit = .seconds(60)
        settings.migration.maxDowntime = .milliseconds(500)
        settings.identity.controller = site.controllerIdentity
        settings.identity.operator = site.operatorIdentity
        settings.inventory = inventory
        return settings
    }

    /// Returns the lab's ledger, opened as the given writer.
    public func ledger(as writer: LedgerWriter) throws -> SharedLog {
        let folder = writer == .controller ? site.controllerIdentity : site.operatorIdentity
        let security = try MemberFolder(folder).security(inLedger: site.ledgerFolder, requiringKey: true)
        return SharedLog(folder: site.ledgerFolder, writer: writer, security: security)
    }

    /// Creates the ledger and starts an agent on every host.
    public func startAgents(_ programs: Programs, settings: Settings) async throws {
        try await SharedLog.create(folder: site.ledgerFolder)
        for host in hosts { try await startAgent(on: host, programs, settings: settings) }
    }

    /// Starts the agent of one host, also after it was killed.
    ///
    /// `hypervisor` is the libvirt URI of its VMs.
    public func startAgent(
        on host: LabHost,
        _ programs: Programs,
        settings: Settings,
        hypervisor: String = "qemu:///system"
    ) async throws {
        var own = settings
        own.host = host.name.rawValue
        own.sampling.cgroup = "\(site.name)/\(host.name)"
        own.hypervisorURI = hypervisor
        own.ledger.marks = "\(host.folder)/marks.json"
        own.identity.folder = host.identityFolder
        // This path is private to the host, like all files of its daemons.
        own.identity.libvirtPKI = "/etc/pki"
        own.escort.viciSocket = host.viciURI
        own.escort.folder = host.folder
        own.migration.sealedFolder = host.sealedFolder
        try await host.startAgent(binary: programs.agent, configuration: own.documentedFile())
    }

    var controllerDaemon: Daemon { Daemon(cgroups: cgroups, group: "infrastructure") }
    public var controllerLog: String { "\(site.infrastructureLogFolder)/controller.log" }
    /// The configuration file of the controller and the commands; each agent has its own.
    public var configurationFile: String { "\(site.stateFolder)/evenkeel.yaml" }

    /// Writes the configuration file of the controller and the commands.
    public func configure(_ settings: Settings) throws {
        try Files.write(settings.documentedFile(), to: configurationFile)
    }

    /// Starts the controller with the written configuration, and waits until it is in control.
    public func startController(_ programs: Programs) async throws {
        // A previous run has written to the same log.
        let offset = FileWindow.size(of: controllerLog)
        try await controllerDaemon.start(
            [programs.evenkeel, "controller", "--config", configurationFile],
            log: controllerLog
        )
        try await waitUntil("the controller", within: .seconds(60), log: controllerLog) {
            ((try? FileWindow.text(controllerLog, from: offset)) ?? "").contains("in control")
        }
    }

    /// The controller's processes; empty if it does not run.
    public var controllerProcesses: [Int32] { controllerDaemon.processes(named: "evenkeel") }

    public func killController(signal: DaemonSignal = .kill) async throws {
        try await controllerDaemon.end(named: "evenkeel", signal: signal)
    }
}
