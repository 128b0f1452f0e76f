// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Injects faults, and ends or repairs them.
extension World {
    func canTalk(_ one: Fault.Party, _ other: Fault.Party) -> Bool {
        !cuts.contains { ($0.0 == one && $0.1 == other) || ($0.0 == other && $0.1 == one) }
    }

    func isDiskFull(_ host: Int) -> Bool { activeFaults.values.contains(.diskFull(host: host)) }

    /// Whether the host claims that it runs a VM that it does not have.
    func claimsFalsely(_ vm: Int, on host: Int) -> Bool {
        activeFaults.values.contains(.claims(host: host)) && hosts[host].copy(of: vm) == nil
    }

    /// Returns whether a fault prevents the start of a process.
    func isDown(_ node: Node) -> Bool {
        activeFaults.values.contains { fault in
            switch (node, fault) {
            case (.controller, .controllerCrash): true
            case (.agent(let host), .agentCrash(let other)), (.agent(let host), .hostCrash(let other)),
                (.agent(let host), .agentDies(let other)):
                host == other
            default: false
            }
        }
    }

    func begin(_ number: Int) {
        let fault = settings.faults[number].fault
        note("fault: \(fault)")
        activeFaults[number] = fault
        switch fault {
        case .agentCrash(let host): stopAgent(host)
        case .controllerCrash: stopController()
        case .libvirtCrash(let host): stopLibvirt(host)
        case .hostCrash(let host): crash(host)
        case .partition(let one, let other): cuts.append((one, other))
        case .ledgerOut: feedController { _ in .ledgerLost }
        case .clockJump(let party, let milliseconds): shift(party, by: milliseconds)
        case .migrationFails(let host, _), .migrationHangs(let host), .answerLost(let host, _), .handoverLost(let host),
            .leak(let host), .targetPowerCut(let host), .hostLost(let host, _), .targetLost(let host, _),
            .hostGone(let host, _, _),
            .startedElsewhere(let host), .releaseLost(let host), .agentDies(let host):
            armed[host, default: []].append(fault)
        case .forgery: queue.put(.forgery(number), at: now)
        case .lie(let host): hosts[host].isLying = true
        case .redefinition(let host): for copy in hosts[host].copies { revisions[copy.vm] += 1 }
        case .operatorStartsOff(let host): startOff(on: host)
        case .operatorStops(let host): takeOff(number, on: host, to: .inactive)
        case .operatorPauses(let host): takeOff(number, on: host, to: .paused)
        case .operatorStartsCopy(let host): startCopy(on: host)
        case .operatorResumes(let host): resumeCopies(on: host)
        case .wrongClockAtBoot(let host, let milliseconds):
            shift(.host(host), by: milliseconds)
            crash(host)
            queue.put(.boot(host: host), at: now + settings.physics.bootTime.wholeMilliseconds)
        case .ledgerFull, .ledgerSlow, .ledgerDuplicates, .ledgerUnsure, .ledgerLoss, .refusedReports, .lateCalls,
            .diskFull, .controllerFrozen, .libvirtStuck, .newerVersion, .claims:
            break
        }
        if !reachesLedger(.controller) { feedController { _ in .ledgerLost } }
    }

    func end(_ number: Int) {
        guard let fault = activeFaults.removeValue(forKey: number) else { return }
        note("fault ends: \(fault)")
        switch fault {
        case .agentCrash(let host): start(.agent(host))
        case .controllerCrash: start(.controller)
        case .libvirtCrash(let host): startLibvirt(host)
        case .hostCrash(let host): queue.put(.boot(host: host), at: now + settings.physics.bootTime.wholeMilliseconds)
        case .partition(let one, let other):
            if let index = cuts.firstIndex(where: { $0.0 == one && $0.1 == other }) { cuts.remove(at: index) }
        case .clockJump(let party, let milliseconds): shift(party, by: -milliseconds)
        case .wrongClockAtBoot(let host, let milliseconds): shift(.host(host), by: -milliseconds)
        case .migrationFails(let host, _), .answerLost(let host, _), .handoverLost(let host),
            .leak(let host), .startedElsewhere(let host), .releaseLost(let host):
            armed[host]?.removeAll { $0 == fault }
        case .agentDies(let host):
            armed[host]?.removeAll { $0 == fault }
            dying = dying.filter { $0.value != host }
            start(.agent(host))
        case .targetPowerCut(let host):
            armed[host]?.removeAll { $0 == fault }
            for number in migrations.keys where migrations[number]?.source == host {
                migrations[number]?.losesPower = false
            }
        case .hostLost(let host, _), .targetLost(let host, _), .hostGone(let host, _, _): endLoss(fault, of: host)
        case .operatorStops, .operatorPauses: bringBack(number)
        case .migrationHangs(let host):
            armed[host]?.removeAll { $0 == fault }
            for number in migrations.keys.sorted() where migrations[number]?.source == host { endHang(of: number) }
        case .lie(let host): hosts[host].isLying = activeFaults.values.contains(fault)
        case .refusedReports(let host): readRefused(host)
        case .ledgerOut, .ledgerFull, .ledgerSlow, .ledgerDuplicates, .ledgerUnsure, .ledgerLoss, .forgery,
            .redefinition, .lateCalls, .operatorStartsOff, .diskFull, .claims, .operatorStartsCopy,
            .operatorResumes, .libvirtStuck, .newerVersion:
            break
        case .controllerFrozen: thawController(number)
        }
        release()
        if reachesLedger(.controller) { feedController { .caughtUp(at: $0) } }
    }

    private func shift(_ party: Fault.Party, by milliseconds: Int64) {
        switch party {
        case .host(let host): agents[host].clockOffset += milliseconds
        case .controller: controllerClockOffset += milliseconds
        case .ledger: break
        }
    }

    // MARK: processes

    /// Ends the agent of a source that has reported its failed move, and checks that its target's agent acts alone.
    func dies(after report: OrderReport) {
        guard case .failed = report.step, let host = dying.removeValue(forKey: report.order),
            let order = invariants.asked[report.order], let vm = vmNumbers[order.vm]
        else { return }
        note("agent of \(hostNames[host]) dies")
        stopAgent(host)
        let target = number(of: order.target)
        queue.put(
            .sealed { world in
                guard world.agents[host].core == nil, world.agents[target].core != nil else { return }
                world.invariants.mustRunOnce(vm, name: world.name(vm), at: world.now)
            },
            at: now + Self.copyPatience
        )
    }

    /// Time in which a target corrects a second copy alone, in milliseconds: a sample, a wait of 30 s, and the pause.
    private static let copyPatience: Int64 = 90_000

    func stopAgent(_ host: Int) {
        agents[host].core = nil
        agents[host].incarnation += 1
        held[.agent(host)] = nil
        loseSealedKeys(of: host)
    }

    func stopController() {
        controller = nil
        controllerIncarnation += 1
        held[.controller] = nil
    }

    /// Stops libvirtd: guests continue, but its running operations end.
    private func stopLibvirt(_ host: Int) {
        guard hosts[host].libvirtIsUp else { return }
        hosts[host].libvirtIsUp = false
        hosts[host].libvirtIncarnation += 1
        for number in migrations.keys.sorted() {
            guard let migration = migrations[number] else { continue }
            if migration.source == host {
                loseSource(of: number)
            } else if migration.target == host, migration.phase == .prepare || migration.phase == .memory {
                abort(number, "libvirt on the target is down")
            }
        }
    }

    /// Ends a migration whose source's libvirtd has stopped: the agent's call fails, and the target does not take over.
    private func loseSource(of number: Int) {
        guard let migration = migrations[number] else { return }
        if migration.phase == .confirm {
            migrations[number] = nil
            let failure = OrderFailure(.inDoubt, .move(.hypervisor(detail: "lost the connection to libvirt")), .unknown)
            end(migration.order.id, on: migration.source, incarnation: migration.agentIncarnation, .failure(failure))
        } else {
            abort(number, "libvirt on the source is down")
        }
    }

    /// Starts libvirtd, which finds its VMs: it cancels outgoing migrations, and removes copies that never ran.
    private func startLibvirt(_ host: Int) {
        guard hosts[host].isUp, !hosts[host].libvirtIsUp, !isLibvirtDown(host) else { return }
        hosts[host].libvirtIsUp = true
        for copy in hosts[host].copies {
            if copy.state == .migratingOut { set(copy.vm, on: host, .running) }
            let isMoving = migrations.values.contains { $0.vm == copy.vm && $0.target == host }
            if copy.isIncoming, !isMoving { set(copy.vm, on: host, nil) }
        }
    }

    private func isLibvirtDown(_ host: Int) -> Bool {
        activeFaults.values.contains { $0 == .libvirtCrash(host: host) || $0 == .hostCrash(host: host) }
    }

    // MARK: hosts

    /// Takes everything that is in the host's memory; `losesUnsynced`: also definitions that were not synced to its disk.
    func crash(_ host: Int, losesUnsynced: Bool = false) {
        guard hosts[host].isUp else { return }
        let fragile = losesUnsynced ? unsynced(on: host) : []
        stopAgent(host)
        stopLibvirt(host)
        // A migration in phase `confirm` has handed over: the source confirms it, and the VM returns with the target.
        for number in migrations.keys.sorted()
        where migrations[number]?.target == host && migrations[number]?.phase != .confirm {
            abort(number, "the target is down")
        }
        for copy in hosts[host].copies {
            if copy.isIncoming {
                set(copy.vm, on: host, nil)
            } else if fragile.contains(copy.vm) {
                loseDefinition(of: copy.vm, on: host)
            } else {
                set(copy.vm, on: host, .inactive)
                // libvirt's autostart does not ask whether the VM was off before.
                if var copy = hosts[host].copy(of: copy.vm) {
                    copy.startsAtBoot = copy.startsWithHost
                    hosts[host].put(copy)
                }
            }
        }
        // The file system had not written yet that the definitions were removed.
        for (vm, at) in hosts[host].removed where now - at < Self.writeBack && hosts[host].copy(of: vm) == nil {
            set(vm, on: host, .inactive)
        }
        hosts[host].removed = [:]
        hosts[host].unsynced = [:]
        advance(host)
        hosts[host].isUp = false
        hosts[host].downSince = now
        hosts[host].gates = [:]
        sealed.images[host] = nil
        hosts[host].transfers = 0
    }

    func boot(_ host: Int) {
        guard !hosts[host].isUp, lost[host] == nil, !activeFaults.values.contains(.hostCrash(host: host)) else {
            return
        }
        advance(host)
        hosts[host].isUp = true
        hosts[host].bootedAt = now
        note("\(hostNames[host]) is up again")
        startLibvirt(host)
        // libvirt's autostart does not check other hosts: it must be off wherever the VM does not belong.
        for copy in hosts[host].copies where copy.startsAtBoot {
            if operators.excusedAtBoot.contains(copy.vm) { invariants.excuse(copy.vm) }
            set(copy.vm, on: host, .running)
        }
        queue.put(.start(.agent(host)), at: now + 2000)
    }

    // MARK: forgery

    /// Writes orders and reports without a controller's key, or with the key of an unrelated host.
    func forge(_ number: Int) {
        guard case .forgery(let host)? = activeFaults[number] else { return }
        queue.put(.forgery(number), at: now + 5000)
        let vm = forgeryRandom.below(max(1, vmIDs.count))
        let (from, to) = (forgeryRandom.below(hosts.count), forgeryRandom.below(hosts.count))
        guard vmIDs.indices.contains(vm) else { return }
        let instant = Instant(milliseconds: now)
        let order = MigrationOrder(
            id: OrderID("forged-\(String(now - Self.epoch, radix: 36))"),
            vm: vmIDs[vm],
            vmName: name(vm),
            source: hostNames[from],
            target: hostNames[to],
            channel: .ipsec,
            issuedAt: instant,
            expires: instant + .seconds(120),
            issuer: .controller,
            reason: "forged"
        )
        // A host whose move leaked would benefit from a clearance.
        if let closure = invariants.anyClosure {
            let clear = OrderRecord.clear(
                path: closure.path,
                channel: closure.channel,
                orders: [closure.order],
                at: instant,
                reason: "forged"
            )
            publishForged(.order(clear), by: .agent(host), isGenuine: true)
        }
        // Written once without a valid key, once with a host's key.
        publishForged(.order(.migrate(order: order)), by: .controller, isGenuine: false)
        publishForged(.order(.migrate(order: order)), by: .agent(host), isGenuine: true)
        guard let genuine = invariants.lastOrder else { return }
        // A copy of a signed order is genuine, too: the agents must carry out the order only once.
        publishForged(.order(.migrate(order: genuine)), by: .controller, isGenuine: true)
        let done = OrderStep.done(
            outcome: MigrationOutcome(startedAt: instant, endedAt: instant),
            evidence: Evidence(channel: .ipsec, verdict: .covered)
        )
        let failed = OrderStep.failed(failure: OrderFailure(.refused, .other("forged"), .notLooked))
        for step in [OrderStep.prepared(), done, failed] {
            let report = OrderReport(order: genuine.id, host: hostNames[host], at: instant, step: step)
            let isParty = [genuine.source, genuine.target].contains(report.host)
            // A host that lies about its own part of an order commits no forgery.
            guard !isParty else { continue }
            publishForged(.report(report), by: .agent(host), isGenuine: true)
        }
        let other = (host + 1) % hosts.count
        let report = OrderReport(order: genuine.id, host: hostNames[other], at: instant, step: failed)
        publishForged(.report(report), by: .agent(host), isGenuine: true)
    }

    private func publishForged(_ entry: SimulatedLedger.Entry, by node: Node, isGenuine: Bool) {
        publish(
            SimulatedLedger.Record(at: now, signedAt: clock(node), writer: node, entry: entry, isGenuine: isGenuine)
        )
    }

    // MARK: operators

    /// Alerts an operator to check a VM.
    func call(_ vm: Int) {
        guard settings.operatorActs, callsOut.insert(vm).inserted else { return }
        note("\(name(vm)): operator alerted")
        queue.put(.callOperator(vm: vm), at: now + settings.operatorDelay.wholeMilliseconds)
    }

    /// Clears a leak that an operator has investigated; retries while the ledger is unavailable.
    func clear(_ closure: ClosedChannels.Closure) {
        guard reachesLedger(.operator), !activeFaults.values.contains(.ledgerFull) else {
            queue.put(.clear(closure), at: now + 5000)
            return
        }
        note("operator clears \(closure.channel.rawValue) between \(HostPair(closure.path)): \(closure.order) leaked")
        let record = OrderRecord.clear(
            path: closure.path,
            channel: closure.channel,
            orders: [closure.order],
            at: clock(.operator),
            reason: "investigated"
        )
        publish(
            SimulatedLedger.Record(at: now, signedAt: clock(.operator), writer: .operator, entry: .order(record))
        )
        invariants.cleared(closure)
    }

    /// Repairs a VM as an operator does: keeps one copy, preferably a running one, and starts it if none runs.
    ///
    /// The operator waits until all hosts are up and the VM is not moving.
    func callOperator(to vm: Int) {
        let all = hosts.indices.allSatisfy { answersOperator($0) || isGone($0) }
        guard all, !migrations.values.contains(where: { $0.vm == vm }), !isOnItsWaySealed(vm) else {
            queue.put(.callOperator(vm: vm), at: now + 10_000)
            return
        }
        callsOut.remove(vm)
        let places = hosts.indices.filter { hosts[$0].copy(of: vm) != nil && !isGone($0) }
        let running = places.filter { hosts[$0].copy(of: vm)?.executes == true }
        guard let chosen = running.first ?? places.first ?? keeper(of: vm) ?? lostDefinitions[vm] else {
            return
        }
        note("\(name(vm)): operator keeps the copy on \(hostNames[chosen])")
        for host in places where host != chosen { set(vm, on: host, nil) }
        if running.isEmpty { set(vm, on: chosen, .running) }
        setAutostart(of: vm, on: chosen, true)
        lostDefinitions[vm] = nil
        removeImages(of: vm)
    }

    // MARK: watching

    /// Counts how long VMs have not run exactly once while no fault prevents the repair.
    func watch() {
        let isHealthy =
            activeFaults.isEmpty
            && hosts.indices.allSatisfy { isGone($0) || (hosts[$0].libvirtIsUp && agents[$0].core != nil) }
        invariants.watch(isHealthy: isHealthy, names: name, at: now)
        isWatching = invariants.anyAbnormal
        if isWatching { queue.put(.watch, at: now + 1000) }
    }

    func checkTheEnd() {
        invariants.checkTheEnd(at: now)
        for vm in settings.offVMs.sorted() where hasStayedOff(vm) {
            let places = hosts.indices.filter { hosts[$0].copy(of: vm) != nil }
            // On a host that never returns, nobody removes a definition that a power cut brought back.
            let reachable = places.filter { !isGone($0) }
            let defining = reachable.isEmpty ? places : reachable
            invariants.defined(name(vm), on: defining.map { hostNames[$0] }, at: now)
        }
        for host in hosts.indices where !isGone(host) {
            for copy in hosts[host].copies {
                if copy.executes, !copy.startsWithHost {
                    invariants.lostAutostart(of: name(copy.vm), on: hostNames[host], at: now)
                }
                if copy.state == .inactive, !invariants.isAbnormal(copy.vm), !hasStayedOff(copy.vm) {
                    invariants.leftDefinition(of: name(copy.vm), on: hostNames[host], at: now)
                }
            }
        }
    }
}
