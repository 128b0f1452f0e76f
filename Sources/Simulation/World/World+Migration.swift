// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Simulates the two libvirtds that carry out a migration, with all possible faults.
///
///     prepare   the target gets an empty copy
///        ▼
///     memory    memory is sent repeatedly, while the guest dirties it
///        ▼
///     stop      the source's guest stops, and the rest is sent
///        ▼
///     finish    the target's copy runs
///        ▼
///     confirm   the source's copy is removed
extension World {
    func beginMigration(_ order: MigrationOrder, from host: Int) {
        let incarnation = agents[host].incarnation
        func refuse(_ reason: String) {
            end(
                order.id,
                on: host,
                incarnation: incarnation,
                .failure(OrderFailure(.migration, .move(.hypervisor(detail: reason)), .at(hostNames[host])))
            )
        }
        guard let vm = vmNumbers[order.vm], let target = hostNumbers[order.target], hosts[host].libvirtIsUp,
            hosts[host].copy(of: vm)?.state == .running
        else { return refuse("libvirt cannot start the migration") }
        guard canTalk(.host(host), .host(target)) else {
            let failure = OrderFailure(.escort, .other("no protected path"), .at(hostNames[host]))
            end(order.id, on: host, incarnation: incarnation, .failure(failure))
            return
        }
        invariants.begun(order, vm: vm, source: host, target: target, running: migrations.values.map { $0 }, at: now)
        var migration = Migration(
            number: migrationCount,
            order: order,
            vm: vm,
            source: host,
            target: target,
            startedAt: now,
            agentIncarnation: incarnation,
            sourceLibvirt: hosts[host].libvirtIncarnation,
            targetLibvirt: hosts[target].libvirtIncarnation,
            iterationBeganAt: now,
            remainedAt: now,
            lastProgressAt: now
        )
        migrationCount += 1
        for fault in armed.removeValue(forKey: host) ?? [] {
            switch fault {
            case .migrationFails(_, let phase): migration.failsIn = phase
            case .migrationHangs:
                migration.hangsUntil = activeFaults.values.contains(fault) ? .max : now
            case .answerLost(_, let resumes): migration.losesAnswer = resumes
            case .agentDies:
                migration.losesAnswer = true
                dying[order.id] = host
            case .handoverLost: migration.losesHandover = true
            case .leak: migration.leaks = true
            case .targetPowerCut: migration.losesPower = true
            case .startedElsewhere: (migration.losesHandover, migration.startsElsewhere) = (true, true)
            case .hostLost, .targetLost, .hostGone: migration.loss = fault
            default: break
            }
        }
        set(vm, on: host, .migratingOut)
        if !settings.mutations.contains(.keepsAutostart) { setAutostart(of: vm, on: host, false) }
        migrations[migration.number] = migration
        schedule(migration.number, after: 200)
    }

    private func schedule(_ number: Int, after milliseconds: Int64) {
        migrations[number]?.turn += 1
        queue.put(.migration(number, turn: migrations[number]?.turn ?? 0), at: now + max(1, milliseconds))
    }

    /// Performs the next step of a migration.
    func proceed(_ number: Int, turn: Int) {
        guard let migration = migrations[number], migration.turn == turn else { return }
        loseHost(of: migration)
        // A migration that has handed over to a lost target continues.
        guard migrations[number] != nil else { return }
        // Only qemu sends memory without libvirtd.
        if migration.phase != .memory, isStuck(migration.source) || isStuck(migration.target) {
            return schedule(number, after: Self.stuckPoll)
        }
        switch migration.phase {
        case .prepare, .memory:
            if let reason = obstacle(migration) {
                abort(number, reason)
            } else if migration.phase == .prepare {
                prepare(number)
            } else {
                endIteration(number)
            }
        case .stop: stop(number)
        case .finish: finish(number)
        case .confirm: confirm(number)
        }
    }

    private static let cancelled = "cancelled"

    /// Returns why a migration cannot continue.
    private func obstacle(_ migration: Migration) -> String? {
        if migration.failsIn == migration.phase { return "qemu failed in phase \(migration.phase)" }
        if hosts[migration.target].libvirtIncarnation != migration.targetLibvirt || !hosts[migration.target].libvirtIsUp
            || !hosts[migration.target].isUp
        {
            return "libvirt on the target is down"
        }
        guard canTalk(.host(migration.source), .host(migration.target)) else { return "the path is down" }
        if now - migration.startedAt > settings.physics.migrationLimit.wholeMilliseconds {
            return "the migration reached its time limit"
        }
        return migration.isCancelled ? Self.cancelled : nil
    }

    private func prepare(_ number: Int) {
        guard let migration = migrations[number] else { return }
        let target = hosts[migration.target]
        guard isGateOpen(for: migration.order, on: migration.target) else {
            return abort(number, "the target's gate is closed")
        }
        guard target.copy(of: migration.vm) == nil else { return abort(number, "the target already has the VM") }
        guard target.spec.compatibility == hosts[migration.source].spec.compatibility else {
            return abort(number, "the target's CPU cannot run it")
        }
        set(migration.vm, on: migration.target, .pausedByMigration, isIncoming: true)
        invariants.arrived(on: migration.target, uses: ownMemoryInUse(of: migration.target), at: now)
        for host in [migration.source, migration.target] {
            advance(host)
            hosts[host].transfers += 1
        }
        shareLinks(of: migration)
        migrations[number]?.isTransferring = true
        migrations[number]?.phase = .memory
        migrations[number]?.remainingBytes = Double(memory[migration.vm])
        beginIteration(number)
    }

    private func beginIteration(_ number: Int) {
        guard let migration = migrations[number] else { return }
        migrations[number]?.iterationBytes = migration.remainingBytes
        migrations[number]?.iterationBeganAt = now
        transfer(number)
    }

    /// Sends the rest of an iteration: migrations share a link evenly.
    private func transfer(_ number: Int) {
        guard let migration = migrations[number] else { return }
        let (source, target) = (hosts[migration.source], hosts[migration.target])
        let rate = min(
            source.spec.bytesPerSecond / Double(max(1, source.transfers)),
            target.spec.bytesPerSecond / Double(max(1, target.transfers))
        )
        migrations[number]?.bytesPerSecond = max(1, rate)
        migrations[number]?.remainedAt = now
        schedule(number, after: Int64(migration.remainingBytes / max(1, rate) * 1000))
    }

    /// Updates the rates of the other migrations on the same links, after one has begun or ended its transfer.
    private func shareLinks(of changed: Migration) {
        let ends = [changed.source, changed.target]
        for number in migrations.keys.sorted() {
            guard let migration = migrations[number], migration.isTransferring, migration.phase == .memory,
                ends.contains(migration.source) || ends.contains(migration.target)
            else { continue }
            let sent = Double(now - migration.remainedAt) / 1000 * migration.bytesPerSecond
            migrations[number]?.remainingBytes = max(0, migration.remainingBytes - sent)
            transfer(number)
        }
    }

    private func endIteration(_ number: Int) {
        guard var migration = migrations[number] else { return }
        if let until = migration.hangsUntil, until > now {
            let stalled = migration.lastProgressAt + settings.physics.stallLimit.wholeMilliseconds
            if now >= stalled { return abort(number, "no progress for \(settings.physics.stallLimit.text)") }
            return schedule(number, after: min(until - now, stalled - now))
        }
        let seconds = Double(now - migration.iterationBeganAt) / 1000
        let load = settings.workload.vms[migration.vm]
        let busy = load.vcpus > 0 ? min(1, wanted[migration.vm] / Double(load.vcpus)) : 0
        migration.sentBytes += migration.iterationBytes
        migration.iteration += 1
        migration.lastProgressAt = now
        let rate = load.dirtyBytesPerSecond * busy * (1 - migration.throttle)
        let dirtied = min(Double(load.workingSetBytes), rate * seconds)
        if dirtied > migration.iterationBytes / 2, migration.iteration > 1 {
            // QEMU's auto-converge (cpu-throttle-initial 20, cpu-throttle-increment 10): throttles a guest that dirties
            // more than half of the bytes sent.
            migration.throttle = min(0.99, migration.throttle == 0 ? 0.2 : migration.throttle + 0.1)
            advance(migration.source)
            hosts[migration.source].throttle(migration.vm, by: migration.throttle)
        }
        migration.remainingBytes = dirtied
        let progress = MigrationProgress(
            elapsedSeconds: Double(now - migration.startedAt) / 1000,
            bytesTransferred: UInt64(migration.sentBytes),
            bytesRemaining: UInt64(dirtied),
            bytesTotal: memory[migration.vm],
            iteration: migration.iteration,
            dirtyPagesPerSecond: UInt64(rate / 4096)
        )
        migrations[number] = migration
        queue.put(
            .agent(host: migration.source, incarnation: migration.agentIncarnation) { _ in
                .progressed(migration.order.id, progress)
            },
            at: now + 1
        )
        guard dirtied / migration.bytesPerSecond > settings.physics.maxDowntime.inSeconds else {
            migrations[number]?.phase = .stop
            return schedule(number, after: 1)
        }
        beginIteration(number)
    }

    /// Continues a migration after a hang, as if memory had been sent meanwhile.
    func endHang(of number: Int) {
        guard let migration = migrations[number], migration.hangsUntil == .max else { return }
        migrations[number]?.hangsUntil = now
        let sentAt = migration.remainedAt + Int64(migration.remainingBytes / migration.bytesPerSecond * 1000)
        if migration.phase == .memory, sentAt <= now { schedule(number, after: 1) }
    }

    private func stop(_ number: Int) {
        guard let migration = migrations[number] else { return }
        if let reason = obstacle(migration) { return abort(number, reason) }
        set(migration.vm, on: migration.source, .pausedByMigration)
        migrations[number]?.stoppedAt = now
        migrations[number]?.sentBytes += migration.remainingBytes
        migrations[number]?.phase = .finish
        schedule(number, after: Int64(migration.remainingBytes / migration.bytesPerSecond * 1000) + 30)
    }

    private func finish(_ number: Int) {
        guard let migration = migrations[number] else { return }
        let reason = obstacle(migration)
        endTransfer(number)
        // It is too late to cancel.
        if let reason, reason != Self.cancelled {
            // The target never took over: the source's libvirt resumes its copy.
            return abort(number, reason)
        }
        if migration.losesHandover {
            migrations[number] = nil
            if migration.startsElsewhere { startElsewhere(migration.vm, migration.order) }
            queue.put(.dropIncoming(host: migration.target, vm: migration.vm), at: now + 1000)
            let failure = OrderFailure(.inDoubt, .move(.hypervisor(detail: "the switch-over was lost")), .unknown)
            end(migration.order.id, on: migration.source, incarnation: migration.agentIncarnation, .failure(failure))
            return
        }
        set(migration.vm, on: migration.target, .running)
        hosts[migration.target].unsynced[migration.vm] = now
        if migration.losesPower { cutPowerSoon(of: migration.target) }
        // With a lost answer the source's copy may be resumed: that is a duplicate, not a move.
        if migration.losesAnswer != true { countMove(migration) }
        if let resumes = migration.losesAnswer {
            migrations[number] = nil
            note("the answer of \(hostNames[migration.target]) to the last step is lost")
            if resumes {
                invariants.excuse(migration.vm)
                set(migration.vm, on: migration.source, .running)
            }
            let failure = OrderFailure(
                resumes ? .migration : .inDoubt,
                .move(.hypervisor(detail: "the answer to the last step was lost")),
                resumes ? .at(hostNames[migration.source]) : .unknown
            )
            end(migration.order.id, on: migration.source, incarnation: migration.agentIncarnation, .failure(failure))
            return
        }
        migrations[number]?.phase = .confirm
        schedule(number, after: 50)
    }

    private func confirm(_ number: Int) {
        guard let migration = migrations.removeValue(forKey: number) else { return }
        if migration.failsIn == .confirm {
            let failure = OrderFailure(.inDoubt, .move(.hypervisor(detail: "the confirmation failed")), .unknown)
            end(migration.order.id, on: migration.source, incarnation: migration.agentIncarnation, .failure(failure))
            return
        }
        set(migration.vm, on: migration.source, nil)
        hosts[migration.source].removed[migration.vm] = now
        let seconds = Double(now - migration.startedAt) / 1000
        let outcome = MigrationOutcome(
            startedAt: Instant(milliseconds: migration.startedAt + agents[migration.source].clockOffset),
            endedAt: clock(.agent(migration.source)),
            totalSeconds: seconds,
            downtimeSeconds: Double(now - (migration.stoppedAt ?? now)) / 1000,
            bytesTransferred: UInt64(migration.sentBytes),
            iterations: migration.iteration
        )
        let evidence = Evidence(
            channel: migration.order.channel,
            bytesOnPath: UInt64(migration.sentBytes * (migration.leaks ? 0.1 : 1.04)),
            bytesByHypervisor: UInt64(migration.sentBytes),
            verdict: migration.leaks ? .leak : .covered
        )
        end(
            migration.order.id,
            on: migration.source,
            incarnation: migration.agentIncarnation,
            .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
        )
    }

    private func countMove(_ migration: Migration) {
        invariants.moved(migration.vm, from: migration.source, at: now)
        measures.moved(
            migration.vm,
            from: migration.source,
            to: migration.target,
            bytes: migration.sentBytes,
            at: now
        )
    }

    private func endTransfer(_ number: Int) {
        guard let migration = migrations[number], migration.isTransferring else { return }
        migrations[number]?.isTransferring = false
        for host in [migration.source, migration.target] {
            advance(host)
            hosts[host].transfers = max(0, hosts[host].transfers - 1)
        }
        shareLinks(of: migration)
    }

    /// Ends a migration that has not handed over: the source's libvirtd resumes its copy, unless it was stopped.
    func abort(_ number: Int, _ reason: String) {
        endTransfer(number)
        guard let migration = migrations.removeValue(forKey: number) else { return }
        note("\(name(migration.vm)): migration from \(hostNames[migration.source]) ended: \(reason)")
        measures.failed()
        queue.put(.dropIncoming(host: migration.target, vm: migration.vm), at: now + 1000)
        let sourceLives =
            hosts[migration.source].libvirtIsUp && hosts[migration.source].libvirtIncarnation == migration.sourceLibvirt
        let failure: OrderFailure
        if sourceLives {
            if hosts[migration.source].copy(of: migration.vm) != nil {
                set(migration.vm, on: migration.source, .running)
            }
            failure = OrderFailure(
                migration.isCancelled ? .cancelled : .migration,
                .move(.hypervisor(detail: reason)),
                .at(hostNames[migration.source])
            )
        } else {
            failure = OrderFailure(
                .inDoubt,
                .move(.hypervisor(detail: "lost the connection to libvirt: \(reason)")),
                .unknown
            )
        }
        end(migration.order.id, on: migration.source, incarnation: migration.agentIncarnation, .failure(failure))
    }

    /// Removes the target's copy that never ran, as its libvirtd does after losing its peer.
    func dropIncoming(_ vm: Int, on host: Int) {
        guard let copy = hosts[host].copy(of: vm), copy.isIncoming,
            !migrations.values.contains(where: { $0.vm == vm && $0.target == host })
        else { return }
        guard answers(host) else {
            queue.put(.dropIncoming(host: host, vm: vm), at: now + 1000)
            return
        }
        set(vm, on: host, nil)
    }
}
