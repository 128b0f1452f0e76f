// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Simulates the two libvirtds of an offline move, and the operator who orders it.
///
///     define    the target has the definition, too
///        ▼
///     remove    the source no longer has it
///
/// A source whose call ends in between keeps its definition: then both hosts have one.
extension World {
    /// Whether a VM that was off at the beginning has never run.
    func hasStayedOff(_ vm: Int) -> Bool { settings.offVMs.contains(vm) && invariants.runners[vm] == nil }

    /// Orders a move of a VM that is off, if one host alone has it and the operator can write.
    func order(_ wanted: SimulationSettings.OfflineOrder) {
        let places = hosts.indices.filter { hosts[$0].copy(of: wanted.vm) != nil }
        guard let source = places.first, places.count == 1, source != wanted.target,
            hosts[source].copy(of: wanted.vm)?.state == .inactive,
            reachesLedger(.operator), !activeFaults.values.contains(.ledgerFull)
        else { return }
        let instant = clock(.operator)
        let order = MigrationOrder(
            id: OrderID("offline-\(String(now - Self.epoch, radix: 36))-\(wanted.vm)"),
            vm: vmIDs[wanted.vm],
            vmName: name(wanted.vm),
            source: hostNames[source],
            target: hostNames[wanted.target],
            channel: .ipsec,
            technique: .offline,
            definition: definition(of: wanted.vm),
            issuedAt: instant,
            expires: instant + settings.policy.orderLifetime,
            issuer: .operator,
            reason: "requested by an operator"
        )
        note("operator orders \(order.id): \(order.vmName) offline from \(order.source) to \(order.target)")
        invariants.asked[order.id] = order
        invariants.submitted(order, at: now)
        let record = OrderRecord.migrate(order: order)
        publish(SimulatedLedger.Record(at: now, signedAt: instant, writer: .operator, entry: .order(record)))
    }

    func beginOffline(_ order: MigrationOrder, from host: Int) {
        guard let vm = vmNumbers[order.vm], let target = hostNumbers[order.target], hosts[host].libvirtIsUp,
            hosts[host].copy(of: vm)?.state == .inactive
        else { return fail(order, on: host, .migration, "libvirt cannot begin", .at(hostNames[host])) }
        invariants.begunOffline(order, at: now)
        setAutostart(of: vm, on: host, false)
        // Between the agent's check and libvirt's job.
        if activeFaults.values.contains(.operatorStartsOff(host: host)), sealedRandom.below(2) == 0 {
            note("\(name(vm)): an operator starts it on \(hostNames[host]) at the last moment")
            set(vm, on: host, .running)
        } else {
            offlineJobs[host, default: []].insert(vm)
        }
        let call = OfflineCall(
            order: order,
            vm: vm,
            source: host,
            target: target,
            startedAt: now,
            agent: agents[host].incarnation,
            libvirt: hosts[host].libvirtIncarnation,
            fault: takeFault(of: host)
        )
        queue.put(.sealed { $0.define(call) }, at: now + 200)
    }

    private func define(_ call: OfflineCall) {
        if case .migrationFails = call.fault { return giveUp(call, "the target's libvirt failed") }
        guard isPossible(call), hosts[call.target].copy(of: call.vm) == nil else {
            return giveUp(call, "the target does not answer, or has the VM")
        }
        set(call.vm, on: call.target, .inactive)
        hosts[call.target].unsynced[call.vm] = now
        queue.put(.sealed { $0.remove(call) }, at: now + 100)
    }

    private func remove(_ call: OfflineCall) {
        if case .answerLost = call.fault { return giveUp(call, "the answer was lost") }
        guard isPossible(call) else { return giveUp(call, "the answer was lost") }
        offlineJobs[call.source]?.remove(call.vm)
        guard hosts[call.source].copy(of: call.vm)?.state == .inactive else {
            return giveUp(call, "the VM was started meanwhile")
        }
        set(call.vm, on: call.source, nil)
        hosts[call.source].removed[call.vm] = now
        let outcome = MigrationOutcome(
            startedAt: Instant(milliseconds: call.startedAt + agents[call.source].clockOffset),
            endedAt: clock(.agent(call.source)),
            totalSeconds: Double(now - call.startedAt) / 1000,
            bytesTransferred: 0
        )
        let evidence = Evidence(channel: .ipsec, bytesOnPath: 0, bytesByHypervisor: 0, verdict: .covered)
        let completion = AgentCore.Completion(outcome: outcome, evidence: evidence)
        end(call.order.id, on: call.source, incarnation: call.agent, .success(completion))
    }

    /// Returns whether both libvirtds still carry out the call.
    private func isPossible(_ call: OfflineCall) -> Bool {
        let (source, target) = (hosts[call.source], hosts[call.target])
        return source.libvirtIsUp && source.libvirtIncarnation == call.libvirt && target.isUp && target.libvirtIsUp
            && canTalk(.host(call.source), .host(call.target))
    }

    private func giveUp(_ call: OfflineCall, _ reason: String) {
        offlineJobs[call.source]?.remove(call.vm)
        note("\(name(call.vm)): offline move from \(hostNames[call.source]) ended: \(reason)")
        let failure = OrderFailure(.inDoubt, .move(.hypervisor(detail: reason)), .unknown)
        end(call.order.id, on: call.source, incarnation: call.agent, .failure(failure))
    }

    private func fail(
        _ order: MigrationOrder,
        on host: Int,
        _ kind: OrderFailure.Kind,
        _ reason: String,
        _ whereabouts: OrderFailure.Whereabouts
    ) {
        let failure = OrderFailure(kind, .move(.hypervisor(detail: reason)), whereabouts)
        end(order.id, on: host, incarnation: agents[host].incarnation, .failure(failure))
    }
}

/// A call of the source's libvirtd that moves a definition.
private struct OfflineCall {
    let order: MigrationOrder
    let vm: Int
    let source: Int
    let target: Int
    let startedAt: Int64
    /// The incarnation of the agent that waits for it, and of the source's libvirtd.
    let agent: Int
    let libvirt: Int
    let fault: Fault?
}
