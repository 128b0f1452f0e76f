// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

extension HostLab {
    /// Creates the lab: network, storage, hosts with libvirtd and charon, and the guests, which run when it returns.
    ///
    /// On a failure or cancellation it removes everything created so far before it throws. `progress` receives a line
    /// for each stage. Refuses if the machine lacks something or if the site has a lab.
    public static func up(
        _ plan: LabPlan = .allOnFirst(),
        site: LabSite = LabSite(),
        progress: @Sendable (String) -> Void = { _ in }
    ) async throws -> HostLab {
        guard plan.problems.isEmpty else { throw LabError.badPlan(plan.problems) }
        let missing = await missingRequirements()
        guard missing.isEmpty else { throw LabError.notPossibleHere(missing) }
        try LabState.claim(site)
        do {
            return try await make(plan, site: site, progress: progress)
        } catch {
            progress("start failed, taking the lab down")
            // In a separate task: in a cancelled one every wait of the clean-up would throw at once.
            let cleanup = await Task { try await down(site: site) }.result
            if case .failure(let failure) = cleanup { progress("\(failure)") }
            throw error
        }
    }

    /// Throws if the site has a lab.
    public static func requireNone(at site: LabSite) throws { try LabState.requireUnclaimed(site) }

    private static func make(
        _ plan: LabPlan,
        site: LabSite,
        progress: @Sendable (String) -> Void
    ) async throws -> HostLab {
        for folder in [
            site.ledgerFolder, site.consoleFolder, site.bootFolder, site.infrastructureLogFolder,
        ] { try Files.makeFolder(folder) }
        let (boot, domainType) = try await GuestBoot.prepared(in: site.cacheFolder, progress: progress)
        try await Blocking.run {
            try Files.copy(boot.kernel, to: "\(site.bootFolder)/vmlinuz")
            try Files.copy(boot.initramfs, to: "\(site.bootFolder)/initramfs.img")
        }

        try await ProgramCopies.make(site)

        let cgroups = Cgroups(layout: try .ofThisMachine(), name: site.name)
        try cgroups.makeTop()
        try Files.write(EmulatorScript(cgroups: cgroups).text, to: site.emulator, mode: 0o755)

        progress("network and storage")
        let network = LabNetwork(site: site)
        try await network.makeLAN()
        try await network.makeStorage()
        try await LabStorage(site: site, cgroups: cgroups).start(guests: plan.guests)
        var state = LabState(
            site: site,
            plan: plan,
            cgroups: cgroups.layout,
            domainType: domainType,
            kernelHasESP: try await network.kernelHasESP(),
            complete: false
        )
        try state.save()

        progress("\(plan.hosts.count) hosts")
        let lab = HostLab(state: state)
        try await lab.bringUpHosts(network)
        progress("\(plan.guests.count) guests (\(domainType == "kvm" ? "KVM" : "software emulation"))")
        for guest in plan.guests { try await lab.start(guest, on: lab.host(guest.host)) }
        try await lab.waitForGuests()
        // Limit the hosts only now: the setup is not part of any demonstration or measurement.
        for host in lab.hosts { try host.setCores(host.plan.cores) }
        state.complete = true
        try state.save()
        return HostLab(state: state)
    }

    private func bringUpHosts(_ network: LabNetwork) async throws {
        for host in hosts { try Files.makeFolder(host.folder) }
        try await LabCluster(site: site).make(for: hosts)
        try await LabSSH().make(for: hosts)
        try Files.write(hostNames, to: site.hostsFile)
        for host in hosts {
            try cgroups.makeHost(host.name.rawValue, memoryBytes: host.plan.memoryBytes)
            try await network.makeHost(host.plan)
        }
        try await withThrowingTaskGroup { group in
            for host in hosts { group.addTask { try await host.bringUp(kernelHasESP: kernelHasESP) } }
            try await group.waitForAll()
        }
    }

    /// The content of /etc/hosts: TLS verifies names.
    private var hostNames: String {
        "127.0.0.1 localhost\n" + hosts.map { "\($0.address) \($0.name)\n" }.joined()
    }
}
