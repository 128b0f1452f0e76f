// SPDX-License-Identifier: Apache-2.0
internal import HostOS
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
    /// Injects a cell's fault into the move of a guest; returns when it struck.
    ///
    /// Throws `noProcess` if what should fail does not run, and another error if it did not fail.
    func inject(
        _ cell: FaultCell,
        moving guest: GuestPlan,
        from source: LabHost,
        to target: LabHost
    ) async throws -> Instant {
        switch cell.component {
        case .sourceAgent: return try await source.fail("agent", by: cell.action)
        case .targetAgent: return try await target.fail("agent", by: cell.action)
        case .sourceLibvirtd: return try await source.fail("libvirtd", by: cell.action)
        case .targetLibvirtd: return try await target.fail("libvirtd", by: cell.action)
        case .sourceCharon: return try await source.fail("charon", by: cell.action)
        case .targetCharon: return try await target.fail("charon", by: cell.action)
        case .controller: return try await controllerDaemon.fail("evenkeel", by: cell.action)
        case .sourceQEMU: return try await source.failQEMU(of: guest, by: cell.action)
        case .targetQEMU: return try await target.failQEMU(of: guest, by: cell.action)
        case .storage: return try await LabStorage(site: site, cgroups: cgroups).fail(by: cell.action)
        case .storageLink, .targetStorageLink, .link:
            let host = cell.component == .targetStorageLink ? target : source
            let other = cell.component == .link ? target.name.rawValue : LabNetwork.storagePort
            try await LabNetwork(site: site).separate([host.name.rawValue, other])
            return .now
        case .sourceHost, .targetHost:
            let host = cell.component == .sourceHost ? source : target
            guard cell.action == .kill else { return try await cgroups.freeze(host.name.rawValue) }
            return try await cutPower(of: host)
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
        if controllerProcesses.isEmpty { try await startController(programs) }
    }
}

extension Daemon {
    /// Kills, freezes or stops the processes, and waits until they have ended or are frozen; returns when they
    /// received the signal.
    func fail(_ name: String, by action: FaultCell.Action) async throws -> Instant {
        try await fail(name, by: action) { processes(named: name) }
    }

    func fail(
        _ what: String,
        by action: FaultCell.Action,
        _ list: () -> [Int32]
    ) async throws -> Instant {
        let victims = list().compactMap(ProcessStat.of)
        guard !victims.isEmpty else { throw LabError.noProcess(what, group: group) }
        func signal(_ signal: Int32) { for victim in victims { kill(victim.id, signal) } }
        switch action {
        case .stop: signal(SIGSTOP)
        case .kill: signal(SIGKILL)
        case .restart: signal(SIGTERM)
        }
        func wait() async throws {
            try await waitUntil("\(what) in \(group) to end or to be frozen", within: .seconds(20)) {
                guard action == .stop else {
                    guard victims.allSatisfy(\.hasEnded) else { return false }
                    // A child that has not replaced its program yet outlives its parent under the same name.
                    let left = list()
                    for process in left { kill(process, SIGKILL) }
                    return left.isEmpty
                }
                // Also what it has started meanwhile.
                let left = list().filter { !ProcessStat.isStopped($0) }
                for process in left { kill(process, SIGSTOP) }
                return left.isEmpty
            }
        }
        let began = Instant.now
        do { try await wait() } catch let error as LabError {
            // As a service manager does.
            guard action == .restart else { throw error }
            signal(SIGKILL)
            try await wait()
        }
        return began
    }
}

extension LabHost {
    func fail(_ name: String, by action: FaultCell.Action) async throws -> Instant {
        try await daemon.fail(commandName(of: name), by: action)
    }

    /// Kills or freezes the guest's QEMU, once there is one; returns when.
    func failQEMU(of guest: GuestPlan, by action: FaultCell.Action) async throws -> Instant {
        let what = "qemu of \(guest.name)"
        do {
            try await waitUntil("\(what) on \(name)", within: .seconds(5)) { !machineProcesses(of: guest).isEmpty }
        } catch is LabError {
            throw LabError.noProcess(what, group: "\(name)/machines")
        }
        return try await daemon.fail(what, by: action) { machineProcesses(of: guest) }
    }

    /// The QEMU processes of one guest, also of its incoming copy.
    func machineProcesses(of guest: GuestPlan) -> [Int32] {
        machineProcesses.filter { ((try? Files.text("/proc/\($0)/cmdline")) ?? "").contains("guest=\(guest.name),") }
    }
}
