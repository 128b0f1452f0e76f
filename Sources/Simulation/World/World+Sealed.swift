// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// The data of sealed moves: images in memory, journal entries on disk, and files on the shared storage.
struct SealedState {
    struct Note: Hashable {
        enum Step: Hashable { case begun, released, started }
        var host: Int
        var step: Step
        var order: OrderID
    }
    /// Survives restarts of agents and hosts.
    var journal: Set<Note> = []
    /// Encrypted images on the storage.
    var files: Set<OrderID> = []
    /// Orders whose VM started with its source; the image carries this setting.
    var startsWithHost: Set<OrderID> = []
    /// Orders whose VM's definition the source has removed, and keeps on its disk.
    var kept: Set<OrderID> = []
    /// Images in each source's memory, lost when the host crashes.
    var images: [Int: Set<OrderID>] = [:]
    /// Keys and decrypted images that a target's agent holds in this incarnation.
    var keys: [Int: Set<OrderID>] = [:]
    var opened: [Int: Set<OrderID>] = [:]
    /// Number of saves that ended after the incarnation that requested them.
    var lateSaves = 0
}

/// Simulates hypervisors and shell in sealed moves; a hypervisor completes a call even after the agent has ended.
extension World {
    /// Drops the keys and decrypted images that are lost when an agent ends.
    func loseSealedKeys(of host: Int) {
        sealed.keys[host] = nil
        sealed.opened[host] = nil
    }

    private func failure(_ kind: OrderFailure.Kind, _ reason: String, runsOn host: Int? = nil) -> OrderFailure {
        OrderFailure(kind, .sealed(.failed(detail: reason)), host.map { .at(hostNames[$0]) } ?? .unknown)
    }

    private func notes(_ step: SealedState.Note.Step, _ order: MigrationOrder, on host: Int) -> SealedState.Note {
        SealedState.Note(host: host, step: step, order: order.id)
    }

    /// Removes and returns a pending fault that applies to the next call of this host's hypervisor.
    func takeFault(of host: Int) -> Fault? {
        guard
            let index = armed[host]?.firstIndex(where: {
                switch $0 {
                case .migrationFails, .answerLost: true
                default: false
                }
            })
        else { return nil }
        return armed[host]?.remove(at: index)
    }

    /// Returns the time to copy a VM's memory at 500 MB/s, as for memory and fast storage, in milliseconds.
    private func copyingTime(_ vm: Int) -> Int64 { 100 + Int64(memory[vm] / 500_000) }

    /// Returns the duration of a hypervisor's call, which may first wait for the VM's job lock, in milliseconds.
    private func callTime(_ vm: Int, on host: Int) -> Int64 {
        let time = copyingTime(vm)
        guard activeFaults.values.contains(.lateCalls(host: host)) else { return time }
        return time + Int64(sealedRandom.below(Int(max(1, Self.longestCall - time))))
    }

    /// Maximum duration of a call in milliseconds; shorter than `Limits.jobLock`, for which agents wait for earlier
    /// calls.
    private static let longestCall: Int64 = 30_000

    func carryOutSealed(_ effect: AgentCore.Effect, on host: Int) {
        let incarnation = agents[host].incarnation
        func later(_ milliseconds: Int64, _ event: @escaping (World) -> Void) {
            queue.put(.sealed(event), at: now + milliseconds)
        }
        switch effect {
        case .seal(let order, _):
            guard let vm = vmNumbers[order.vm], let target = hostNumbers[order.target] else { return }
            if let failure = reasonNotToBegin(order, on: host) {
                return answer(host, after: 20, .sealed(order.id, .failure(failure)))
            }
            sealed.journal.insert(notes(.begun, order, on: host))
            let running = migrations.values.map { $0 }
            invariants.begun(order, vm: vm, source: host, target: target, running: running, at: now)
            later(callTime(vm, on: host)) { world in
                world.unlessStuck(host) { $0.save(vm, order, on: host, incarnation: incarnation) }
            }
        case .unseal(let order, _):
            guard let vm = vmNumbers[order.vm] else { return }
            answer(host, after: copyingTime(vm)) { [self] _ in
                guard sealed.keys[host]?.contains(order.id) == true, sealed.files.contains(order.id) else {
                    return .unsealed(order.id, .failure(failure(.migration, "the image cannot be decrypted")))
                }
                sealed.opened[host, default: []].insert(order.id)
                return .unsealed(order.id, .success("digest"))
            }
        case .release(let order):
            guard let vm = vmNumbers[order.vm], answers(host),
                presence(of: vm, on: host) == .absent || settings.mutations.contains(.leavesDefinitions)
            else { return answer(host, after: 50, .letGo(order.id, failure: "the VM is not known to be off")) }
            guard !isDiskFull(host) else {
                return answer(host, after: 50, .letGo(order.id, failure: "the disk is full"))
            }
            // The journal entry is durable before the result arrives: the agent may crash in between.
            sealed.journal.insert(notes(.released, order, on: host))
            answer(host, after: draw(1...2000), .letGo(order.id, failure: nil))
            loseRelease(of: order, from: host)
        case .recall(let order):
            guard let vm = vmNumbers[order.vm] else { return }
            answer(host, after: 20) { [self] _ in
                guard answers(host) else {
                    return .recalled(order.id, .failure(failure(.inDoubt, "libvirt does not answer")))
                }
                let recollection = Recollection(
                    hasBegun: sealed.journal.contains(notes(.begun, order, on: host)),
                    hasReleased: sealed.journal.contains(notes(.released, order, on: host)),
                    hasStarted: sealed.journal.contains(notes(.started, order, on: host)),
                    presence: presence(of: vm, on: host)
                )
                return .recalled(order.id, .success(recollection))
            }
        case .restore(let order):
            guard let vm = vmNumbers[order.vm] else { return }
            guard sealed.opened[host]?.remove(order.id) != nil else {
                let result = failure(.migration, "the image is not decrypted on this host")
                return answer(host, after: 10, .restored(order.id, .failure(result)))
            }
            later(callTime(vm, on: host)) { world in
                world.unlessStuck(host) { $0.restore(vm, order, on: host, incarnation: incarnation) }
            }
        case .takeBack(let order, let startsWithHost): takeBack(order, on: host, startsWithHost: startsWithHost)
        case .forget(let order, _): forgetImage(of: order, on: host)
        default: break
        }
    }

    private func save(_ vm: Int, _ order: MigrationOrder, on host: Int, incarnation: Int) {
        let fault = takeFault(of: host)
        func tell(_ result: AgentCore.Answer<SealedImage>) {
            queue.put(.agent(host: host, incarnation: incarnation) { _ in .sealed(order.id, result) }, at: now + 20)
        }
        guard hosts[host].isUp, hosts[host].libvirtIsUp, hosts[host].copy(of: vm)?.state == .running else {
            return tell(.failure(failure(.inDoubt, "libvirt is down")))
        }
        if case .migrationFails? = fault {
            return tell(.failure(failure(.migration, "qemu failed to save", runsOn: host)))
        }
        if hosts[host].copy(of: vm)?.startsWithHost == true { sealed.startsWithHost.insert(order.id) }
        if settings.mutations.contains(.leavesDefinitions) {
            set(vm, on: host, .inactive)
            setAutostart(of: vm, on: host, false)
        } else {
            set(vm, on: host, nil)
            sealed.kept.insert(order.id)
        }
        sealed.images[host, default: []].insert(order.id)
        if agents[host].incarnation != incarnation { sealed.lateSaves += 1 }
        if case .answerLost? = fault { return tell(.failure(failure(.inDoubt, "the answer was lost"))) }
        // The agent encrypts it, if it is still running.
        if agents[host].incarnation == incarnation { sealed.files.insert(order.id) }
        tell(
            .success(
                SealedImage(
                    bytes: memory[vm] + 1000,
                    digest: "digest",
                    imageBytes: memory[vm],
                    stoppedAt: clock(.agent(host))
                )
            )
        )
    }

    /// Restores the VM paused; the agent then writes the journal entry and starts the VM.
    private func restore(_ vm: Int, _ order: MigrationOrder, on host: Int, incarnation: Int) {
        let fault = takeFault(of: host)
        let isBack = hostNumbers[order.source] == host
        func tell(_ result: AgentCore.Answer<Instant>) {
            queue.put(.agent(host: host, incarnation: incarnation) { _ in .restored(order.id, result) }, at: now + 20)
        }
        guard hosts[host].isUp else { return }
        let here = hosts[host].copy(of: vm)?.state
        let expected: DomainPresence? = isBack && settings.mutations.contains(.leavesDefinitions) ? .inactive : nil
        guard hosts[host].libvirtIsUp, here == expected, !isBack || hasImage(of: order, on: host)
        else { return tell(.failure(failure(.migration, "the VM cannot be restored"))) }
        if case .migrationFails? = fault { return tell(.failure(failure(.migration, "qemu failed to restore"))) }
        guard agents[host].core != nil, agents[host].incarnation == incarnation else {
            return set(vm, on: host, .pausedByMigration)
        }
        guard !isDiskFull(host) else {
            return tell(.failure(failure(.migration, "the journal entry cannot be written")))
        }
        guard sealed.journal.insert(notes(.started, order, on: host)).inserted else {
            return tell(.failure(failure(.inDoubt, "the VM was started before")))
        }
        set(vm, on: host, .running, byAgent: true)
        if sealed.startsWithHost.contains(order.id) { setAutostart(of: vm, on: host, true) }
        sealed.images[host]?.remove(order.id)
        if !isBack, let source = hostNumbers[order.source] {
            invariants.moved(vm, from: source, at: now)
            measures.moved(vm, from: source, to: host, bytes: Double(memory[vm]), at: now)
        }
        if case .answerLost? = fault { return tell(.failure(failure(.inDoubt, "the answer was lost"))) }
        tell(.success(clock(.agent(host))))
    }

    private func hasImage(of order: MigrationOrder, on host: Int) -> Bool {
        sealed.images[host]?.contains(order.id) == true
    }

    private func takeBack(_ order: MigrationOrder, on host: Int, startsWithHost: Bool) {
        guard let vm = vmNumbers[order.vm] else { return }
        let incarnation = agents[host].incarnation
        func doubt(_ reason: String) {
            let result = failure(.inDoubt, reason)
            answer(host, after: 50, .restored(order.id, .failure(result)))
        }
        guard answers(host) else { return doubt("libvirt does not answer") }
        switch presence(of: vm, on: host) {
        case .running: answer(host, after: 50) { .restored(order.id, .success($0)) }
        case .pausedByMigration:
            guard !isDiskFull(host) else { return doubt("the journal entry cannot be written") }
            sealed.journal.insert(notes(.started, order, on: host))
            set(vm, on: host, .running, byAgent: true)
            sealed.images[host]?.remove(order.id)
            answer(host, after: 50) { .restored(order.id, .success($0)) }
        case .inactive, .absent:
            guard hasImage(of: order, on: host) else {
                return startFromDisks(vm, order, on: host, startsWithHost: startsWithHost)
            }
            guard presence(of: vm, on: host) == .absent || !sealed.kept.contains(order.id) else {
                return doubt("the VM was defined meanwhile")
            }
            guard !sealed.journal.contains(notes(.started, order, on: host)) else {
                return doubt("the VM was started from its image before")
            }
            queue.put(
                .sealed { world in
                    world.unlessStuck(host) { $0.restore(vm, order, on: host, incarnation: incarnation) }
                },
                at: now + callTime(vm, on: host)
            )
        case let other: doubt("the VM is \(other)")
        }
    }

    private func startFromDisks(_ vm: Int, _ order: MigrationOrder, on host: Int, startsWithHost: Bool) {
        if presence(of: vm, on: host) == .absent, sealed.kept.contains(order.id) { set(vm, on: host, .inactive) }
        let wasDown = Instant(milliseconds: hosts[host].bootedAt) > order.issuedAt
        guard startsWithHost, wasDown, presence(of: vm, on: host) == .inactive else {
            let result = failure(.inDoubt, "there is no image to restore the VM from")
            return answer(host, after: 50, .restored(order.id, .failure(result)))
        }
        setAutostart(of: vm, on: host, true)
        set(vm, on: host, .running, byAgent: true)
        answer(host, after: 50) { .restored(order.id, .success($0)) }
    }

    private func forgetImage(of order: MigrationOrder, on host: Int) {
        sealed.keys[host]?.remove(order.id)
        sealed.opened[host]?.remove(order.id)
        let isSource = hostNumbers[order.source] == host
        if isSource {
            sealed.files.remove(order.id)
            sealed.kept.remove(order.id)
        }
        guard sealed.images[host]?.remove(order.id) != nil, isSource, let vm = vmNumbers[order.vm] else { return }
        // A VM that was started on the target returns with that host.
        if let target = hostNumbers[order.target], sealed.journal.contains(notes(.started, order, on: target)) {
            return
        }
        // A newer move has an image of its own.
        guard !sealed.journal.contains(where: { $0.step == .begun && isNewer($0.order, than: order) }) else { return }
        invariants.imageRemoved(of: vm, name: name(vm), at: now)
    }

    private func isNewer(_ id: OrderID, than order: MigrationOrder) -> Bool {
        guard let other = invariants.asked[id] else { return false }
        return other.vm == order.vm && other.id != order.id && other.issuedAt > order.issuedAt
    }

    /// Returns whether the VM is in a sealed move for which an agent is still responsible.
    func isOnItsWaySealed(_ vm: Int) -> Bool {
        sealed.journal.contains { note in
            guard note.step == .begun, let order = invariants.asked[note.order] else { return false }
            return vmNumbers[order.vm] == vm && !invariants.ended.contains(note.order)
        }
    }

    /// Removes the images and kept definitions of a VM, which are obsolete after an operator has decided where it runs.
    func removeImages(of vm: Int) {
        let orders = invariants.asked.values.filter { vmNumbers[$0.vm] == vm }.map(\.id)
        for host in hosts.indices { sealed.images[host]?.subtract(orders) }
        sealed.kept.subtract(orders)
    }

    /// Returns the host that keeps the definition of a VM which no hypervisor has.
    func keeper(of vm: Int) -> Int? {
        let order = sealed.kept.sorted().compactMap { invariants.asked[$0] }.first { vmNumbers[$0.vm] == vm }
        return order.flatMap { hostNumbers[$0.source] }
    }
}
