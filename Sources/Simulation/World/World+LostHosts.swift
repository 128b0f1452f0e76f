// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Hosts that crash during a migration and stay away, and the operator who ends their orders.
extension World {
    /// Time after which an operator gives a host up, in milliseconds.
    private static let patience: Int64 = 60_000
    /// Time after which every agent must have applied the operator's end, in milliseconds.
    private static let applied: Int64 = 30_000

    /// Takes the source or the target of a migration that has reached the phase of its fault.
    func loseHost(of migration: Migration) {
        guard let fault = migration.loss else { return }
        switch fault {
        case .hostLost(_, migration.phase), .hostGone(_, migration.phase, isTarget: false):
            lose(migration.source, by: fault)
        case .targetLost(_, migration.phase), .hostGone(_, migration.phase, isTarget: true):
            lose(migration.target, by: fault)
        default: return
        }
        migrations[migration.number]?.loss = nil
    }

    func lose(_ host: Int, by fault: Fault) {
        guard hosts[host].isUp else { return }
        note("\(hostNames[host]) is lost")
        lost[host] = fault
        crash(host)
        queue.put(.endOrders(host: host), at: now + Self.patience)
    }

    /// Ends the fault: its host boots, unless it never returns.
    func endLoss(_ fault: Fault, of host: Int) {
        armed[host]?.removeAll { $0 == fault }
        // A migration that reaches the phase later must not lose a host that would never come back.
        for number in migrations.keys where migrations[number]?.loss == fault { migrations[number]?.loss = nil }
        for (host, cause) in lost where cause == fault && !isGone(host) {
            lost[host] = nil
            queue.put(.boot(host: host), at: now + settings.physics.bootTime.wholeMilliseconds)
        }
    }

    /// Whether the host never returns.
    func isGone(_ host: Int) -> Bool { if case .hostGone? = lost[host] { true } else { false } }

    /// Gives up the VMs that were only on a host that never returns; an operator decides about those with other copies.
    private func giveUpVMs(of host: Int) {
        for vm in hosts[host].copies.map(\.vm) where (invariants.runners[vm] ?? 0) == 0 {
            guard !migrations.values.contains(where: { $0.vm == vm }), invariants.isAbnormal(vm) else { continue }
            if hosts.indices.contains(where: { $0 != host && hosts[$0].copy(of: vm) != nil }) {
                call(vm)
            } else {
                note("\(name(vm)) is lost with \(hostNames[host])")
                invariants.forget(vm)
            }
        }
    }

    /// Ends the running orders of a lost host, as far as the operator can see where their VMs are.
    func endOrders(of host: Int) {
        guard lost[host] != nil else { return }
        guard reachesLedger(.operator), !activeFaults.values.contains(.ledgerFull), let controller else {
            queue.put(.endOrders(host: host), at: now + 5000)
            return
        }
        var mustWait = false
        let running = controller.orders.values.filter {
            ($0.stage == .running || $0.hasUnseenBeginning && !$0.stage.isFinal) && $0.order.source == hostNames[host]
                && !invariants.ended.contains($0.order.id)
        }
        for order in running.map(\.order).sorted(by: { $0.id < $1.id }) {
            guard let vm = vmNumbers[order.vm], let target = hostNumbers[order.target] else { continue }
            guard answers(target) || isGone(target) else {
                mustWait = true
                continue
            }
            let copy = hosts[target].copy(of: vm)
            end(order, on: copy.map { !$0.isIncoming } == true ? target : host)
        }
        if isGone(host) {
            giveUpVMs(of: host)
            endSearches(of: host, in: controller)
        }
        // The controller may read of others late.
        if mustWait || isGone(host) { queue.put(.endOrders(host: host), at: now + 10_000) }
    }

    /// Ends the searches at a host that never returns: `evenkeel end ORDER --on SOURCE`.
    private func endSearches(of host: Int, in controller: ControllerCore) {
        let failed = controller.orders.values.filter { $0.stage == .failed && $0.order.target == hostNames[host] }
        for order in failed.map(\.order).sorted(by: { $0.id < $1.id }) {
            guard let vm = vmNumbers[order.vm], let source = hostNumbers[order.source],
                hosts[source].copy(of: vm)?.executes == true, operators.endedSearches.insert(order.id).inserted
            else { continue }
            end(order, on: source)
        }
    }

    private func end(_ order: MigrationOrder, on host: Int) {
        note("operator ends order \(order.id) on \(hostNames[host])")
        let record = OrderRecord.end(id: order.id, on: hostNames[host], at: clock(.operator), reason: "host lost")
        publish(
            SimulatedLedger.Record(at: now, signedAt: clock(.operator), writer: .operator, entry: .order(record))
        )
        invariants.endedByOperator(order.id)
        queue.put(.checkEnd(order), at: now + Self.applied)
    }

    /// Checks that no agent that can read the ledger still carries out an order that an operator has ended.
    func checkEnd(of order: MigrationOrder) {
        // Clocks that are wrong by much hold records back.
        guard !invariants.holdsRecords else { return }
        func canRead(_ node: Node) -> Bool { reachesLedger(node) && held[node] == nil && !waiting.contains(node) }
        for host in agents.indices where canRead(.agent(host)) {
            // The source of a sealed move follows its handover.
            if order.channel == .sealed, hostNames[host] == order.source { continue }
            guard let state = agents[host].core?.orders[order.id], !state.stage.isFinal else { continue }
            invariants.stillHeld(order, by: hostNames[host].rawValue, at: now)
        }
        if canRead(.controller), let state = controller?.orders[order.id], !state.stage.isFinal {
            invariants.stillHeld(order, by: "the controller", at: now)
        }
    }

    /// Time for which a source may search at a target that is down, before the controller may move the VM elsewhere: an hour,
    /// and two looks.
    private static let searchTime: Int64 = 3_600_000 + 120_000

    /// Checks that a source does not refuse a controller's order because of a search at a host that is gone.
    func checkSearch(_ report: OrderReport) {
        guard case .failed(let failure) = report.step, case .order(.vmIsSearched(let searched)) = failure.reason,
            let order = invariants.asked[report.order], let search = invariants.asked[searched],
            search.target != order.target, let vm = vmNumbers[order.vm], let target = hostNumbers[search.target]
        else { return }
        let source = number(of: report.host)
        guard !hosts[target].isUp, answers(source), hosts[source].copy(of: vm)?.state == .running else { return }
        let time = now - max(hosts[target].downSince, agents[source].startedAt)
        guard time > Self.searchTime else { return }
        invariants.pinned(order.vmName, by: search.target, downFor: time, at: now)
    }
}
