// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The part of a sealed move between its beginning and its end; who may run the VM, `Handover` says.
///
/// The source saves and offers, the target opens and claims, then restores; the source removes what is left and reports.
/// Whatever the target cannot do it declines, and the VM goes back. A target that is silent before it claims loses its
/// turn; one that is silent after it is waited for, since nobody else can say whether it has the VM running.
extension AgentCore {
    /// Takes over a sealed order from an earlier life of this agent.
    mutating func inheritSealed(_ life: OrderLife, at instant: Instant) {
        let isRecent = !life.stage.isFinal || instant <= life.order.latestBeginning + Self.remembered
        guard life.order.channel == .sealed, life.stage > .accepted, isRecent else { return }
        if life.stage == .prepared, life.order.target == host {
            // It ends the order only if the ledger has it before the source's beginning.
            let reason = "the target's agent was restarted, and the image's key is gone"
            let failure = OrderFailure(kind: .interrupted, reason: reason, runsOn: life.order.source)
            outbox.put(OrderReport(order: life.order.id, host: host, at: instant, step: .failed(failure: failure)))
        }
        sealedDuties[life.order.id] = SealedDuty(since: instant, isInherited: true)
    }

    /// Begins, once the ledger shows it: if the target has failed the order before, a later life of this agent would take
    /// it for one that was never begun, and the VM with it.
    mutating func beginSealed(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let id = life.order.id
        guard life.stage >= .running else { return }
        sealedDuties[id]?.mayBegin = false
        if life.stage == .running, life.cancellation == nil, let key = life.sealingKey {
            effects.append(.seal(life.order, key: key))
            return
        }
        busy.remove(id)
        if !life.stage.isFinal { fail(id, .cancelled, "cancelled: \(life.cancellation ?? "no key")", at: instant) }
    }

    mutating func advanceSealed(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let id = life.order.id
        guard !busy.contains(id) else { return }
        if sealedDuties[id] == nil { sealedDuties[id] = SealedDuty(since: instant, isInherited: true) }
        if life.order.source == host {
            advanceSealedSource(life, at: instant, effects: &effects)
        } else {
            advanceSealedTarget(life, at: instant, effects: &effects)
        }
    }

    private mutating func advanceSealedSource(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let id = life.order.id
        guard let duty = sealedDuties[id], !duty.hasSaid, instant >= duty.nextTry else { return }
        switch life.handover {
        case .saving, .returned: attempt(id, .takeBack(life.order), at: instant, effects: &effects)
        case .offered(let image):
            if let reason = life.cancellation {
                say(id, .withdrawn(reason: "cancelled: \(reason)"), at: instant)
            } else if instant - duty.since > patience(image) {
                say(id, .withdrawn(reason: "\(life.order.target) did not take the image in time"), at: instant)
            }
        case .claimed:
            guard instant - duty.since > limits.handover else { return }
            attempt(id, .look(life.order), at: instant, effects: &effects)
        case .arrived: attempt(id, .apply(.discard, life.order), at: instant, effects: &effects)
        }
    }

    private mutating func advanceSealedTarget(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let id = life.order.id
        guard let duty = sealedDuties[id], !duty.hasSaid, instant >= duty.nextTry else { return }
        switch life.handover {
        case .offered where duty.isInherited:
            say(id, .declined(reason: "the agent of \(host) was restarted, and the image's key is gone"), at: instant)
        case .offered(let image): attempt(id, .unseal(life.order, image), at: instant, effects: &effects)
        case .claimed where duty.hasOpened:
            sealedDuties[id]?.hasOpened = false
            attempt(id, .restore(life.order), at: instant, effects: &effects)
        case .claimed: attempt(id, .look(life.order), at: instant, effects: &effects)
        case .saving, .arrived, .returned: return
        }
    }

    /// How long the target may take to open an image: at least 20 MB/s are expected of the storage.
    private func patience(_ image: SealedImage) -> Duration {
        limits.handover + .seconds(Int64(min(image.bytes / 20_000_000, 86_400)))
    }

    /// Between two tries of one effect.
    private static let pause: Duration = .seconds(2)

    private mutating func attempt(_ id: OrderID, _ effect: Effect, at instant: Instant, effects: inout [Effect]) {
        busy.insert(id)
        sealedDuties[id]?.nextTry = instant + Self.pause
        effects.append(effect)
    }

    /// Says what follows; nothing more happens before the ledger has it.
    private mutating func say(_ id: OrderID, _ step: OrderStep, at instant: Instant) {
        sealedDuties[id]?.hasSaid = true
        report(id, step, at: instant)
    }

    /// Removes what this host no longer needs of an order; never an image that may be all there is of a VM.
    mutating func forgetSealed(effects: inout [Effect]) {
        guard isCaughtUp, !sealedDuties.isEmpty else { return }
        for id in sealedDuties.keys.sorted() where !busy.contains(id) {
            guard let life = orders[id] else {
                sealedDuties[id] = nil
                continue
            }
            guard life.isHandoverOver(for: host) else { continue }
            sealedDuties[id] = nil
            let isKnown = life.order.target == host || life.stage == .done || life.failure?.runsOn == host
            if isKnown { effects.append(.forget(life.order)) }
        }
    }
}

extension OrderLife {
    /// Whether a host has no more to do in it.
    fileprivate func isHandoverOver(for host: HostName) -> Bool {
        if stage.isFinal { return true }
        switch handover {
        case .arrived, .returned: return order.target == host
        case .saving, .offered, .claimed: return false
        }
    }
}

// MARK: what the effects brought

extension AgentCore {
    mutating func sealed(
        _ id: OrderID,
        _ result: Answer<SealedImage>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        guard let life = orders[id], life.stage == .running else { return }
        switch result {
        case .success(let image) where life.cancellation == nil: say(id, .sealed(image: image), at: instant)
        case .failure(let failure) where failure.runsOn == host || failure.kind == .refused:
            end(id, .failure(failure), at: instant)
        case .success: takeBack(life, "cancelled before the image was offered", at: instant, effects: &effects)
        case .failure(let failure): takeBack(life, failure.reason, at: instant, effects: &effects)
        }
    }

    private mutating func takeBack(
        _ life: OrderLife,
        _ reason: String,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        sealedDuties[life.order.id]?.reason = reason
        sealedDuties[life.order.id]?.turn(at: instant)
        attempt(life.order.id, .takeBack(life.order), at: instant, effects: &effects)
    }

    mutating func unsealed(_ id: OrderID, _ failure: String?, at instant: Instant, effects: inout [Effect]) {
        busy.remove(id)
        guard let life = orders[id], life.stage == .running, case .offered = life.handover else { return }
        if let failure {
            say(id, .declined(reason: failure), at: instant)
        } else {
            sealedDuties[id]?.hasOpened = true
            say(id, .restoring, at: instant)
        }
    }

    mutating func restored(_ id: OrderID, _ result: Answer<Instant>, at instant: Instant, effects: inout [Effect]) {
        busy.remove(id)
        guard let life = orders[id] else { return }
        if life.order.source == host {
            tookBack(life, result, at: instant)
            return
        }
        switch result {
        case .success(let since):
            say(id, .restored(at: since), at: instant)
            if life.stage.isFinal {
                let words = "order \(id) had been given up, and \(life.order.vmName) runs on \(host) all the same"
                effects.append(.say(words, isGrave: true))
            }
        case .failure(let failure) where failure.kind != .inDoubt:
            say(id, .declined(reason: failure.reason), at: instant)
        // Seen by looking; nothing is restored twice.
        case .failure: sealedDuties[id]?.turn(at: instant)
        }
    }

    private mutating func tookBack(_ life: OrderLife, _ result: Answer<Instant>, at instant: Instant) {
        let id = life.order.id
        guard life.stage == .running, let duty = sealedDuties[id] else { return }
        let cause: String
        if case .returned(let reason) = life.handover {
            cause = reason
        } else {
            cause = duty.reason ?? "the agent of \(host) was restarted before it had offered the image"
        }
        switch result {
        case .success:
            // What an earlier life asked of the hypervisor may stop the VM yet.
            if life.handover == .saving, duty.isInherited, instant - duty.since < limits.jobLock { return }
            let kind: OrderFailure.Kind = life.cancellation == nil ? .migration : .cancelled
            let reason = "\(life.order.vmName) is on \(host): \(cause)"
            end(id, .failure(OrderFailure(kind: kind, reason: reason, runsOn: host)), at: instant)
        case .failure(let failure):
            guard instant - duty.since > limits.doubt else { return }
            let reason = "\(cause); \(life.order.vmName) cannot be taken back: \(failure.reason): look on \(host)"
            end(id, .failure(OrderFailure(kind: .inDoubt, reason: reason, runsOn: nil)), at: instant)
        }
    }

    mutating func sealedLooked(_ id: OrderID, _ sighting: Sighting, at instant: Instant, effects: inout [Effect]) {
        guard let life = orders[id], let duty = sealedDuties[id], busy.remove(id) != nil, !life.stage.isFinal,
            case .claimed = life.handover
        else { return }
        if life.order.target == host {
            switch sighting.here {
            case .seen(.running), .seen(.migratingOut): say(id, .restored(at: instant), at: instant)
            // What was asked of the hypervisor may come yet.
            case .seen(.absent) where instant - duty.since > limits.jobLock:
                say(id, .declined(reason: "\(life.order.vmName) was not restored on \(host)"), at: instant)
            // Restored, and its agent died before it let it run: it goes, and the source has it still.
            case .seen(.pausedByMigration) where instant - duty.since > limits.jobLock:
                attempt(id, .apply(.discard, life.order), at: instant, effects: &effects)
            default: return
            }
            return
        }
        let (vm, target) = (life.order.vmName, life.order.target)
        switch sighting.there {
        case .seen(.running):
            // Its agent cannot decline any more, whatever it says later.
            attempt(id, .apply(.discard, life.order), at: instant, effects: &effects)
        default:
            guard instant - duty.since > limits.doubt else { return }
            let reason =
                "\(target) has claimed \(vm) and not said that it runs there: if it does not, and its agent is stopped "
                + "there, 'virsh restore' its image on \(host)"
            end(id, .failure(OrderFailure(kind: .inDoubt, reason: reason, runsOn: nil)), at: instant)
        }
    }

    mutating func sealedDiscarded(
        _ id: OrderID,
        _ result: Remedy.Result,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        guard let life = orders[id], let duty = sealedDuties[id], busy.remove(id) != nil, life.stage == .running,
            let image = life.handover.image, life.order.source == host
        else { return }
        var runningSince: Instant?
        if case .arrived(_, let since) = life.handover { runningSince = since }
        var notes = runningSince == nil ? ["\(life.order.target) was seen to run it; its agent did not say so"] : []
        if case .refused(let reason) = result { notes.append("what is left of it here was not removed: \(reason)") }
        if case .failed(let reason) = result {
            guard instant - duty.since > limits.doubt else { return }
            notes.append("what is left of it here was not removed: \(reason)")
        }
        let startedAt = life.startedAt ?? life.order.issuedAt
        let outcome = MigrationOutcome(
            startedAt: startedAt,
            endedAt: instant,
            totalSeconds: (instant - startedAt).inSeconds,
            // By two hosts' clocks.
            downtimeSeconds: runningSince.map { max(0, ($0 - image.stoppedAt).inSeconds) },
            bytesTransferred: image.imageBytes,
            note: notes.isEmpty ? nil : notes.joined(separator: "; ")
        )
        let evidence = Evidence(
            channel: .sealed,
            bytesThroughTunnel: image.bytes,
            bytesByHypervisor: image.imageBytes,
            session: SealedImage.session,
            verdict: image.bytes >= image.imageBytes ? .covered : .leak
        )
        end(id, .success(Completion(outcome: outcome, evidence: evidence)), at: instant)
    }
}
