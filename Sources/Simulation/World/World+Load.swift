// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// The demand of VMs over time, the CPU they get, and the agents' samples.
extension World {
    /// Advances the workload by a step: each VM's demand changes, and VMs are created and removed.
    func takeStep(_ step: Int) {
        let length = settings.workload.step.wholeMilliseconds
        for host in hosts.indices { advance(host) }
        measures.point(at: now, shares: hosts.map { share(of: $0) })
        // After the faults the load stays constant to let the fleet settle.
        let isFrozen = !settings.faults.isEmpty && now >= faultsEndAt
        if !isFrozen {
            for (vm, load) in settings.workload.vms.enumerated() {
                wanted[vm] = load.cores(atStep: step)
                if load.existsFrom == step, step > 0 { create(vm) }
                if load.existsUntil == step { destroy(vm) }
            }
        }
        if now + length < endAt { queue.put(.step(step + 1), at: now + length) }
    }

    func share(of host: SimulatedHost) -> Double {
        host.demand(wanted, overhead: settings.physics.migrationCores) / max(0.001, host.spec.cores)
    }

    /// Advances the VMs of a host to the current time.
    func advance(_ host: Int) {
        let stretch = hosts[host].advance(to: now, cores: wanted, overhead: settings.physics.migrationCores)
        measures.add(stretch, host: host, at: now)
    }

    /// Creates a VM on the host with the most free memory, like a scheduler that does not know the load.
    private func create(_ vm: Int) {
        let free = hosts.indices.filter { hosts[$0].isUp && hosts[$0].libvirtIsUp }.map { host in
            (host, hosts[host].spec.memoryBytes - min(hosts[host].memoryInUse(memory), hosts[host].spec.memoryBytes))
        }
        guard let best = free.max(by: { $0.1 < $1.1 }), best.1 >= memory[vm] else {
            measures.notPlaced += 1
            return
        }
        set(vm, on: best.0, .running)
    }

    private func destroy(_ vm: Int) {
        for number in migrations.values.filter({ $0.vm == vm }).map(\.number).sorted() {
            abort(number, "the VM was shut down")
        }
        for host in hosts.indices where hosts[host].copy(of: vm) != nil { set(vm, on: host, nil) }
        invariants.forget(vm)
        downSince[vm] = nil
    }

    /// Counts the demand of a VM during its downtime as unserved.
    func countDowntime(of vm: Int) {
        guard let since = downSince.removeValue(forKey: vm) else { return }
        measures.lost(wanted[vm] * Double(now - since) / 1000)
    }

    // MARK: samples

    func takeSample(_ host: Int) {
        let interval = settings.sampleInterval.wholeMilliseconds
        if now + interval <= endAt { queue.put(.sample(host: host), at: now + interval) }
        watchGates(of: host)
        guard hosts[host].isUp, agents[host].core != nil else {
            hosts[host].lastSample = nil
            return
        }
        advance(host)
        let state = hosts[host]
        let base = state.lastSample
        hosts[host].lastSample = SimulatedHost.SampleBase(
            at: now,
            busySeconds: state.busySeconds,
            waitedSeconds: state.waitedSeconds,
            vms: state.copies.map { ($0.vm, $0.cpuSeconds, $0.waitedSeconds) }
        )
        // The first sample has no rates: it only records the counters.
        guard let base, now > base.at else { return }
        let seconds = Double(now - base.at) / 1000
        let used = state.memoryInUse(memory)
        var sample = LoadSample(
            host: hostNames[host],
            at: clock(.agent(host)),
            intervalSeconds: seconds,
            cpu: CPULoad(
                capacityCores: state.spec.cores,
                busyCores: (state.busySeconds - base.busySeconds) / seconds
            ),
            memory: MemoryLoad(
                totalBytes: state.spec.memoryBytes,
                usedBytes: min(used, state.spec.memoryBytes),
                availableBytes: state.spec.memoryBytes - min(used, state.spec.memoryBytes)
            ),
            pressure: Pressure(
                cpu: 100 * (state.waitedSeconds - base.waitedSeconds) / seconds,
                memory: 0,
                io: 0
            ),
            hypervisor: facts(host)
        )
        sample.channels = settings.policy.channels
        if answers(host) {
            sample.vms = vmSamples(state, base: base, seconds: seconds) + claimedSamples(host)
            feed(host, .known(state.copies.map { vmIDs[$0.vm] }))
        } else {
            sample.failures = [SourceFailure(source: "libvirt", reason: "libvirt does not answer")]
        }
        if isDiskFull(host) { sample.takesNoOrdersBecause = "no space left on device" }
        if state.isLying {
            sample.cpu = CPULoad(capacityCores: 4 * state.spec.cores, busyCores: 0)
            sample.pressure = Pressure(cpu: 0, memory: 0, io: 0)
        }
        // A sample that cannot be written is lost; the next one does not repeat its figures.
        _ = write(.sample(sample), by: .agent(host))
    }

    private func vmSamples(
        _ state: SimulatedHost,
        base: SimulatedHost.SampleBase,
        seconds: Double
    ) -> [VMSample] {
        var before = base.vms[...]
        return state.copies.map { copy in
            while let first = before.first, first.vm < copy.vm { before = before.dropFirst() }
            let earlier = before.first.flatMap { $0.vm == copy.vm ? $0 : nil }
            return VMSample(
                id: vmIDs[copy.vm],
                name: settings.workload.vms[copy.vm].name,
                state: Self.vmState(copy.state),
                cpuCores: earlier.map { max(0, copy.cpuSeconds - $0.cpuSeconds) / seconds },
                waitingCores: earlier.map { max(0, copy.waitedSeconds - $0.waitedSeconds) / seconds },
                vcpus: settings.workload.vms[copy.vm].vcpus,
                memoryBytes: memory[copy.vm],
                definition: definition(of: copy.vm),
                cannotMove: settings.immovableVMs.contains(copy.vm) ? CannotMove([Self.blocker]) : nil
            )
        }
    }

    /// Returns the samples of VMs that the host falsely claims to run, without any load.
    private func claimedSamples(_ host: Int) -> [VMSample] {
        vmIDs.indices.filter { claimsFalsely($0, on: host) }.map { vm in
            VMSample(
                id: vmIDs[vm],
                name: settings.workload.vms[vm].name,
                state: .running,
                cpuCores: 0,
                vcpus: settings.workload.vms[vm].vcpus,
                memoryBytes: memory[vm],
                definition: definition(of: vm)
            )
        }
    }

    /// Why the immovable VMs cannot move.
    static let blocker = PreflightFailure.Reason.hypervisor(.hostDevice("pci"))

    /// Returns a substitute for the digest of a VM's definition.
    func definition(of vm: Int) -> String { "\(vmIDs[vm])-\(revisions[vm])" }

    private static func vmState(_ presence: DomainPresence) -> VMState {
        switch presence {
        case .running, .migratingOut: .running
        case .pausedByMigration: .migrating
        case .paused: .paused
        case .inactive, .absent: .shutOff
        }
    }

    // MARK: copies

    /// Changes a host's entry for a VM.
    func set(
        _ vm: Int,
        on host: Int,
        _ state: DomainPresence?,
        isIncoming: Bool = false,
        byAgent: Bool = false
    ) {
        advance(host)
        let before = hosts[host].copy(of: vm)
        if let state {
            var copy = before ?? VMCopy(vm: vm, state: state)
            copy.state = state
            copy.isIncoming = isIncoming
            copy.startsAtBoot = false
            copy.throttle = 0
            hosts[host].put(copy)
        } else {
            hosts[host].remove(vm)
        }
        let executed = before?.executes == true
        let executes = hosts[host].copy(of: vm)?.executes == true
        guard executed != executes else { return }
        invariants.runs(vm, executes ? 1 : -1, name: name(vm), on: hostNames[host], byAgent: byAgent, at: now)
        switch invariants.runners[vm] {
        case 0: downSince[vm] = now
        case 1: countDowntime(of: vm)
        default: break
        }
        if invariants.isAbnormal(vm), !isWatching {
            isWatching = true
            queue.put(.watch, at: now + 1000)
        }
    }
}
