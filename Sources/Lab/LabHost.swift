// SPDX-License-Identifier: Apache-2.0
public import HostOS
public import Fleet

/// One of the lab's hosts: network, mount and UTS namespaces with its own libvirtd, charon, agent and capacity.
public struct LabHost: Sendable {
    let files: HostFiles
    var daemon: Daemon { Daemon(cgroups: files.cgroups, group: "\(files.name)/system") }

    public var plan: HostPlan { files.plan }
    public var name: HostName { files.plan.name }
    /// The address on the LAN.
    public var address: String { LabSite.lanAddress(ofHost: plan.number) }
    /// The address inside the tunnels; the lab assigns it to `lo`.
    public var innerAddress: String { LabSite.innerAddress(ofHost: plan.number) }
    /// The host's own folder: private by convention, but all hosts can see it under this path.
    public var folder: String { files.folder }
    /// The URI for `swanctl --uri`.
    public var viciURI: String { "unix://\(files.viciSocket)" }
    /// The URI for peers, over the LAN with mutual certificates; hosts know each other's names.
    ///
    /// It does not depend on the tunnel, so peers can query a VM's state while the tunnel is down.
    public var libvirtURI: String { "qemu+tls://\(name)/system" }
    /// The folder with the host's key, certificate and roster.
    public var identityFolder: String { "\(folder)/identity" }
    /// The folder in memory for unencrypted images; all hosts share /dev/shm.
    public var sealedFolder: String { files.sealedFolder }
    public var capacity: HostCapacity { HostCapacity(plan: plan, cgroups: files.cgroups) }
    /// The prefix of a command that runs in the host: `…/h1/enter virsh list`.
    public var enterPath: String { files.enter }

    public var inventoryEntry: InventoryHost {
        InventoryHost(name: name, address: address, innerAddress: innerAddress, libvirtURI: libvirtURI)
    }

    /// Returns the path of a daemon's log: `libvirtd`, `charon`, `sshd` or `agent`.
    public func logPath(of daemon: String) -> String { files.log(daemon) }

    /// Returns the command that runs the given one inside the host's namespaces and cgroup.
    public func inside(_ command: Command) -> Command {
        Command(
            files.enter,
            [command.program] + command.arguments,
            environment: command.environment,
            timeLimit: command.timeLimit
        )
    }

    /// Runs a command inside and returns its standard output.
    @discardableResult
    public func run(_ command: Command) async throws -> String { try await inside(command).run() }

    /// Runs virsh on the host's own libvirtd.
    @discardableResult
    public func virsh(_ arguments: [String], timeLimit: Duration = .seconds(30)) async throws -> String {
        try await run(Command("virsh", ["--quiet"] + arguments, timeLimit: timeLimit))
    }

    // MARK: daemons

    public func startLibvirtd() async throws {
        try await daemon.start(
            [files.enter, "\(files.site.programFolder)/libvirtd", "--listen"],
            log: logPath(of: "libvirtd")
        )
        try await waitUntil("libvirtd on \(name)", within: .seconds(60), log: logPath(of: "libvirtd")) {
            try await inside(Command("virsh", ["--quiet", "list"], timeLimit: .seconds(30))).result().succeeded
        }
    }

    public func killLibvirtd(signal: DaemonSignal = .kill) async throws {
        try await daemon.end(named: "libvirtd", signal: signal)
    }

    public func startCharon() async throws {
        let environment = ["STRONGSWAN_CONF": files.strongswanConf]
        try await daemon.start(
            [files.enter, "\(files.site.programFolder)/charon"],
            log: logPath(of: "charon"),
            environment: environment
        )
        try await waitUntil("charon on \(name)", within: .seconds(30), log: logPath(of: "charon")) {
            let arguments = ["--stats", "--uri", viciURI]
            return try await inside(Command("swanctl", arguments, environment: environment)).result().succeeded
        }
    }

    /// Ends charon and removes its leftovers.
    ///
    /// A killed charon leaves its pid file. User-space ESP leaves nothing else: its routes disappear with its TUN
    /// device.
    public func killCharon(signal: DaemonSignal = .kill) async throws {
        try await daemon.end(named: "charon", signal: signal)
        try await run(Command("rm", ["-f", "/run/charon.pid", files.viciSocket]))
    }

    /// Starts the host's ssh server, which accepts the keys of the lab's other hosts.
    public func startSSH() async throws {
        guard let program = Requirements.path(of: "sshd") else {
            throw LabError.notPossibleHere(["sshd: the program has disappeared"])
        }
        try await daemon.start([files.enter, program, "-D", "-e"], log: logPath(of: "sshd"))
        try await waitUntil("sshd on \(name)", within: .seconds(15), log: logPath(of: "sshd")) {
            try await run(Command("ss", ["-Hltn"])).contains("\(address):22 ")
        }
    }

    /// Ends the ssh server and its sessions.
    public func killSSH(signal: DaemonSignal = .kill) async throws {
        try await daemon.end(named: "sshd", signal: signal)
    }

    /// Writes the configuration to `agent.yaml` in the host's folder and starts the agent with the path as its last
    /// argument.
    ///
    /// Returns at once; the agent's output is in `logPath(of: "agent")`.
    public func startAgent(
        binary: String,
        configuration: String,
        arguments: [String] = ["--config"],
        environment: [String: String] = [:]
    ) async throws {
        let path = "\(folder)/agent.yaml"
        try Files.write(configuration, to: path)
        // `commandName` reads this name to find the process, whatever the name of the binary.
        try Files.write(binary.split(separator: "/").last.map(String.init) ?? binary, to: "\(folder)/agent.name")
        try await daemon.start(
            [files.enter, binary] + arguments + [path],
            log: logPath(of: "agent"),
            environment: environment
        )
        try await waitUntil("the agent on \(name)", within: .seconds(10), log: logPath(of: "agent")) {
            !processes(of: "agent").isEmpty
        }
    }

    public func killAgent(signal: DaemonSignal = .kill) async throws {
        try await daemon.end(named: commandName(of: "agent"), signal: signal)
    }

    /// Returns the processes of `libvirtd`, `charon`, `sshd` or `agent`; empty if it does not run.
    public func processes(of name: String) -> [Int32] { daemon.processes(named: commandName(of: name)) }

    /// The QEMU processes of the guests on this host, including incoming ones.
    public var machineProcesses: [Int32] { files.cgroups.processes(below: "\(files.name)/machines") }

    func commandName(of name: String) -> String {
        guard name == "agent" else { return name }
        return (try? Files.text("\(folder)/agent.name")) ?? "evenkeel-agent"
    }

    /// Sets the host's CPU quota in cores; `nil` removes it.
    public func setCores(_ cores: Double?) throws { try files.cgroups.setCores(cores, of: files.name) }

    // MARK: setting up

    /// Creates the namespaces of a host whose network namespace and cgroup exist, and starts its daemons.
    func bringUp(kernelHasESP: Bool) async throws {
        try files.write(kernelHasESP: kernelHasESP)
        let namespace = LabNetwork.namespaceFile(files.namespace)
        try await daemon.start(
            ["nsenter", "--net=\(namespace)", "unshare", "-m", "-u", "sh", "\(folder)/hold"],
            log: logPath(of: "holder")
        )
        try await waitUntil("the namespaces of \(name)", within: .seconds(15), log: logPath(of: "holder")) {
            Files.exists(files.holderPIDFile)
        }
        try await startCharon()
        try await startLibvirtd()
        try await startSSH()
    }
}
