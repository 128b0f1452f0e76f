// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc
internal import Settings

extension FaultCell {
    /// How long the fault lasts before the lab repairs it.
    ///
    /// A link and a host are away for longer than libvirt's keepalive (30 s), so that connections really end.
    public var duration: Duration {
        switch (component, action) {
        case (.link, _): .seconds(40)
        case (.sourceHost, .stop), (.targetHost, .stop): .seconds(45)
        case (.sourceHost, _), (.targetHost, _): .seconds(10)
        case (_, .kill): .seconds(5)
        case (_, .stop): .seconds(20)
        case (_, .restart): .zero
        }
    }
}

/// Faults of a lab. `repair` ends all of them.
extension HostLab {
    /// Injects a cell's fault into the move of a guest.
    func inject(
        _ cell: FaultCell,
        moving guest: GuestPlan,
        from source: LabHost,
        to target: LabHost
    ) async throws {
        let network = LabNetwork(site: site)
        let storage = LabStorage(site: site, cgroups: cgroups)
        switch cell.component {
        case .sourceAgent: try await source.fail("agent", by: cell.action)
        case .targetAgent: try await target.fail("agent", by: cell.action)
        case .sourceLibvirtd: try await source.fail("libvirtd", by: cell.action)
        case .targetLibvirtd: try await target.fail("libvirtd", by: cell.action)
        case .sourceCharon: try await source.fail("charon", by: cell.action)
        case .targetCharon: try await target.fail("charon", by: cell.action)
        case .controller: try await controllerDaemon.fail("evenkeel", by: cell.action)
        case .sourceQEMU: try await source.failQEMU(of: guest, by: cell.action)
        case .targetQEMU: try await target.failQEMU(of: guest, by: cell.action)
        case .storage: if cell.action == .kill { try await storage.crash() } else { try storage.freeze() }
        case .storageLink: try await network.separate([source.name.rawValue, LabNetwork.storagePort])
        case .link: try await network.separate([source.name.rawValue, target.name.rawValue])
        case .sourceHost, .targetHost:
            let host = cell.component == .sourceHost ? source : target
            if cell.action == .kill {
                try await cutPower(of: host)
            } else {
                cgroups.freeze(host.name.rawValue)
            }
        }
    }

    /// Ends every fault: lets all processes continue, reconnects the network, and starts what does not run.
    func repair(_ programs: Programs, settings: Settings) async throws {
        cgroups.thaw()
        for host in hosts where !isOn(host) { try await powerOn(host) }
        let ports = hosts.map(\.name.rawValue) + [LabNetwork.storagePort]
        try await LabNetwork(site: site).separate(ports, false)
        let storage = LabStorage(site: site, cgroups: cgroups)
        if !storage.isServing { try await storage.serve(guests: guests) }
        for host in hosts {
            if host.processes(of: "charon").isEmpty {
                // It leaves a pid file.
                try await host.killCharon()
                try await host.startCharon()
            }
            if host.processes(of: "libvirtd").isEmpty { try await host.startLibvirtd() }
            if host.processes(of: "sshd").isEmpty { try await host.startSSH() }
            if host.processes(of: "agent").isEmpty {
                try await startAgent(on: host, programs, settings: settings)
            }
        }
        if !controllerRuns { try await startController(programs) }
    }

    var controllerRuns: Bool { !controllerDaemon.processes(named: "evenkeel").isEmpty }
}

extension Daemon {
    func fail(_ name: String, by action: FaultCell.Action) async throws {
        switch action {
        case .kill: try await end(named: name, signal: .kill)
        case .stop: try freeze(named: name)
        case .restart: try await stop(named: name)
        }
    }
}

extension LabHost {
    func fail(_ name: String, by action: FaultCell.Action) async throws {
        try await daemon.fail(commandName(of: name), by: action)
    }

    /// Kills or freezes the guest's QEMU, once there is one.
    func failQEMU(of guest: GuestPlan, by action: FaultCell.Action) async throws {
        var processes: [Int32] = []
        do {
            try await waitUntil("QEMU of \(guest.name) on \(name)", within: .seconds(5)) {
                processes = machineProcesses(of: guest)
                return !processes.isEmpty
            }
        } catch is LabError {
            throw LabError.noProcess("qemu of \(guest.name)", group: "\(name)/machines")
        }
        for process in processes { kill(process, action == .kill ? SIGKILL : SIGSTOP) }
    }

    /// The QEMU processes of one guest, also of its incoming copy.
    func machineProcesses(of guest: GuestPlan) -> [Int32] {
        machineProcesses.filter { ((try? Files.text("/proc/\($0)/cmdline")) ?? "").contains("guest=\(guest.name),") }
    }
}
