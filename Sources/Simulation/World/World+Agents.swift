// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// The shell of an agent, in virtual time.
extension World {
    func start(_ node: Node) {
        switch node {
        case .agent(let host):
            guard hosts[host].isUp, agents[host].core == nil, !isDown(node) else { return }
            agents[host].incarnation += 1
            agents[host].isTicking = false
            agents[host].startedAt = now
            var core = AgentCore(host: hostNames[host], limits: settings.limits)
            core.mutations = settings.mutations
            agents[host].core = core
            note("agent of \(hostNames[host]) starts")
            readAgain(.agent(host))
        case .controller:
            guard controller == nil, !isDown(node) else { return }
            controllerIncarnation += 1
            controller = ControllerCore(
                policy: settings.policy,
                decisionInterval: settings.decisionInterval,
                planning: planning
            )
            controller?.mutations = settings.mutations
            _ = controller?.handle(.lockTaken(controller: "c\(controllerIncarnation)"))
            // Without faults no host lies.
            if !settings.faults.isEmpty { feedController { _ in .enrolled(enrolledHardware) } }
            note("controller starts")
            readAgain(.controller)
            queue.put(
                .decide(incarnation: controllerIncarnation),
                at: now + settings.decisionInterval.wholeMilliseconds
            )
        case .operator: break
        }
    }

    /// Passes an event to an agent's core and carries out the effects it returns.
    func feed(_ host: Int, _ event: AgentCore.Event.Kind) {
        let instant = clock(.agent(host))
        let uptime = Duration.milliseconds(now - Self.epoch)
        // In place, because a copy of the core would copy its orders.
        guard let effects = agents[host].core?.handle(event, at: instant, uptime: uptime) else { return }
        for effect in effects { carryOut(effect, on: host) }
        guard !agents[host].isTicking, agents[host].core?.needsTicks == true else { return }
        agents[host].isTicking = true
        queue.put(.tick(host: host, incarnation: agents[host].incarnation), at: now + 1000)
    }

    func answer(_ host: Int, after milliseconds: Int64, _ event: AgentCore.Event.Kind) {
        answer(host, after: milliseconds) { _ in event }
    }

    /// Answers with an event that reflects the state at its delivery.
    func answer(_ host: Int, after milliseconds: Int64, _ event: @escaping (Instant) -> AgentCore.Event.Kind) {
        queue.put(.agent(host: host, incarnation: agents[host].incarnation, event), at: now + milliseconds)
    }

    private func carryOut(_ effect: AgentCore.Effect, on host: Int) {
        let incarnation = agents[host].incarnation
        switch effect {
        case .append(let report):
            queue.put(.append(host: host, incarnation: incarnation, report), at: now + draw(5...40))
        case .readRequirements(let order):
            makeCall(on: host) { world, _ in
                let result = world.requirements(for: order, on: host)
                world.answer(host, after: 20, .requirementsRead(order.id, AgentCore.Answer(result)))
            }
        case .checkTarget(let order, let requirements, let promisedBytes):
            makeCall(on: host) { world, _ in
                world.checkTarget(order, requirements, promisedBytes: promisedBytes, on: host)
            }
        case .shut(let order): shutGate(of: order, on: host)
        case .migrate(let order, _):
            guard let failure = reasonNotToBegin(order, on: host) else {
                hosts[host].begun.insert(order.id)
                return makeCall(on: host, limit: nil) { world, _ in
                    order.isOffline ? world.beginOffline(order, from: host) : world.beginMigration(order, from: host)
                }
            }
            end(order.id, on: host, incarnation: incarnation, .failure(failure))
        case .cancelMigration(let order):
            if let number = migrations.values.first(where: { $0.order.id == order.id })?.number {
                migrations[number]?.isCancelled = true
            }
            answer(host, after: 100, .cancelTried(order.id))
        case .look(let order): queue.put(.look(host: host, incarnation: incarnation, order), at: now + 50)
        case .startWithHost(let order):
            guard let vm = vmNumbers[order.vm] else { return }
            var failure = answers(host) ? nil : "libvirt does not answer"
            if isDiskFull(host) { failure = failure ?? "no space left on device" }
            if failure == nil {
                setAutostart(of: vm, on: host, true)
                sync(host)
            }
            // Its host has crashed in the moment after the move.
            if invariants.runners[vm] == 0 { call(vm) }
            answer(host, after: 50, .autostartSet(order.id, failure: failure))
        case .locate(let id, let vm), .confirm(let id, let vm):
            if case .confirm = effect { sync(host) }
            makeCall(on: host) { world, _ in
                world.answer(host, after: 50) { [unowned world] _ in
                    let isClaimed = world.vmNumbers[vm].map { world.claimsFalsely($0, on: host) } ?? false
                    let observation = isClaimed ? .seen(.running) : world.observation(of: vm, on: host)
                    // All its VMs are persistent.
                    let isHere = if case .seen(let presence) = observation { presence != .absent } else { false }
                    return .located(id, observation, isPersistent: isHere ? true : nil)
                }
            }
        case .apply(let action, let order):
            queue.put(.action(host: host, incarnation: incarnation, action, order), at: now + 50)
        case .seal, .unseal, .release, .recall, .restore, .takeBack, .forget:
            carryOutSealed(effect, on: host)
        case .announce(let announcement):
            note("agent of \(hostNames[host]): \(announcement.text)")
            noteAlert(announcement)
            for vm in invariants.runners.keys.sorted() where invariants.isAbnormal(vm) { call(vm) }
            // Its definition is here again, and the host to which it moved no longer has it.
            if case .returned(let id, _, let failure) = announcement, failure.whereabouts == .at(hostNames[host]),
                let vm = invariants.asked[id].flatMap({ vmNumbers[$0.vm] })
            {
                call(vm)
            }
        }
    }

    // MARK: requests to the hypervisor

    func end(_ order: OrderID, on host: Int, incarnation: Int, _ result: Result<AgentCore.Completion, OrderFailure>) {
        queue.put(
            .agent(host: host, incarnation: incarnation) { _ in .migrationEnded(order, AgentCore.Answer(result)) },
            at: now + 20
        )
    }

    private func requirements(for order: MigrationOrder, on host: Int) -> Result<VMRequirements, OrderFailure> {
        func refusal(_ reason: String) -> Result<VMRequirements, OrderFailure> {
            let failure = PreflightFailure(check: .state, host: hostNames[host], reason: .other(reason))
            return .failure(OrderFailure(.refused, .preflight, .notLooked, preflight: [failure]))
        }
        guard answers(host) else { return refusal("libvirt does not answer") }
        let wanted: DomainPresence = order.isOffline ? .inactive : .running
        guard let vm = vmNumbers[order.vm], hosts[host].copy(of: vm)?.state == wanted else {
            return refusal("VM \(order.vmName) is not \(wanted) here")
        }
        if settings.immovableVMs.contains(vm) {
            let failure = PreflightFailure(check: .state, host: hostNames[host], reason: Self.blocker)
            return .failure(OrderFailure(.refused, .preflight, .notLooked, preflight: [failure]))
        }
        return .success(
            VMRequirements(
                id: order.vm,
                name: order.vmName,
                domainType: "kvm",
                hypervisor: facts(host),
                emulator: nil,
                machine: "q35",
                architecture: hosts[host].spec.compatibility,
                vcpus: settings.workload.vms[vm].vcpus,
                memoryBytes: memory[vm],
                cpuXML: nil,
                disks: [],
                networks: [],
                definition: definition(of: vm),
                startsWithHost: hosts[host].copy(of: vm)?.startsWithHost
            )
        )
    }

    private func checkTarget(
        _ order: MigrationOrder,
        _ requirements: VMRequirements,
        promisedBytes: UInt64,
        on host: Int
    ) {
        let failures = unmet(requirements, for: order, on: host, promisedBytes: promisedBytes)
        if failures.isEmpty, order.channel.usesMigrationPorts { openGate(for: order, on: host) }
        let key = order.channel == .sealed && failures.isEmpty ? "key" : nil
        if key != nil { sealed.keys[host, default: []].insert(order.id) }
        answer(host, after: 30, .targetChecked(order.id, failures, sealingKey: key))
    }

    private func unmet(
        _ needs: VMRequirements,
        for order: MigrationOrder,
        on host: Int,
        promisedBytes: UInt64
    ) -> [PreflightFailure] {
        func failure(_ check: PreflightFailure.Check, _ reason: String) -> [PreflightFailure] {
            [PreflightFailure(check: check, host: hostNames[host], reason: .other(reason))]
        }
        guard answers(host) else { return failure(.hypervisor, "libvirt does not answer") }
        guard needs.architecture == hosts[host].spec.compatibility else {
            return failure(.cpu, "the VM needs \(needs.architecture), this host is \(hosts[host].spec.compatibility)")
        }
        let used = hosts[host].memoryInUse(memory) + promisedBytes
        guard order.isOffline || used <= hosts[host].spec.memoryBytes,
            order.isOffline || hosts[host].spec.memoryBytes - used >= needs.memoryBytes
        else {
            return failure(.memory, "the VM needs \(needs.memoryBytes) bytes, \(used) are used or reserved")
        }
        if let vm = vmNumbers[needs.id], hosts[host].copy(of: vm) != nil {
            return failure(.uuid, "a VM with this UUID already exists here")
        }
        return []
    }

    /// Returns why the journal does not let an order begin.
    func reasonNotToBegin(_ order: MigrationOrder, on host: Int) -> OrderFailure? {
        invariants.begins(order, at: now)
        guard isDiskFull(host) else { return nil }
        return OrderFailure(
            .refused,
            .order(.beginningNotNoted(detail: "no space left on device")),
            .at(hostNames[host])
        )
    }

    func look(_ host: Int, _ order: MigrationOrder) {
        makeCall(on: host) { world, _ in
            world.answer(host, after: 50, .looked(order.id, world.observation(of: order.vm, on: host)))
        }
    }

    private func observation(of vm: VMID, on host: Int) -> CopyObservation {
        guard answers(host) else { return .silent("libvirt does not answer") }
        return .seen(vmNumbers[vm].map { presence(of: $0, on: host) } ?? .absent)
    }

    func apply(_ action: CopyAction, _ order: MigrationOrder, on host: Int) {
        makeCall(on: host, isCarriedOutLate: true) { $0.apply(action, order, on: host, isGivenUp: $1) }
    }

    private func apply(_ action: CopyAction, _ order: MigrationOrder, on host: Int, isGivenUp: Bool) {
        guard let vm = vmNumbers[order.vm] else { return }
        let result: CopyAction.Result
        let copy = hosts[host].copy(of: vm)
        if !answers(host) {
            result = .failed("libvirt does not answer")
        } else {
            let hasBooted = Instant(milliseconds: hosts[host].bootedAt) > order.issuedAt
            switch (action, copy?.state) {
            case (.start, .inactive) where hasBooted || settings.mutations.contains(.startsStopped):
                invariants.startedByAgent(vm, name: order.vmName, on: hostNames[host], hasBooted: hasBooted, at: now)
                set(vm, on: host, .running, byAgent: true)
                result = .done
            case (.start, _): result = .notSo("it was shut off")
            case (.discard, nil): result = .done
            case (.discard, .inactive), (.discard, .pausedByMigration):
                set(vm, on: host, nil)
                result = .done
            case (.withdraw, .inactive):
                set(vm, on: host, nil)
                result = .done
            case (.withdraw, _): result = .notSo("it is not off here")
            case (.resume, .pausedByMigration) where copy?.isIncoming == false:
                set(vm, on: host, .running, byAgent: true)
                result = .done
            case (.pause, .running), (.pause, .paused):
                set(vm, on: host, .paused)
                if copy?.executes == true {
                    invariants.pausedByAgent(vm, name: order.vmName, on: hostNames[host], at: now)
                }
                result = keepOff(vm, on: host)
            case (.pause, _): result = .notSo("the VM is migrating")
            case (_, let state): result = .refused("the VM is \(state.map { "\($0)" } ?? "not here")")
            }
        }
        note("\(hostNames[host]): \(action) \(order.vmName): \(result)")
        guard !isGivenUp || !answers(host) else { return }
        answer(host, after: 50, .applied(order.id, result))
    }

    /// Turns off the autostart of a copy that was paused.
    private func keepOff(_ vm: Int, on host: Int) -> CopyAction.Result {
        if isDiskFull(host), hosts[host].copy(of: vm)?.startsWithHost == true {
            operators.excusedAtBoot.insert(vm)
            return .failed("the autostart cannot be turned off: no space left on device")
        }
        setAutostart(of: vm, on: host, false)
        return .done
    }

    func setAutostart(of vm: Int, on host: Int, _ isOn: Bool) {
        guard var copy = hosts[host].copy(of: vm) else { return }
        copy.startsWithHost = isOn
        hosts[host].put(copy)
    }

    func presence(of vm: Int, on host: Int) -> DomainPresence { hosts[host].copy(of: vm)?.state ?? .absent }

    func facts(_ host: Int) -> HypervisorFacts {
        HypervisorFacts(
            type: "qemu",
            version: 7_002_000,
            libvirtVersion: 9_000_000,
            architecture: hosts[host].spec.compatibility,
            cpuModel: nil
        )
    }
}
