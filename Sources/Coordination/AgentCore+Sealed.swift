// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The part of a sealed move between its beginning and its end; who may run the VM, `Handover` says.
///
/// The source saves and offers, the target opens and asks for it, the source lets go, the target restores; the source
/// removes what is left and reports. Whatever the target cannot do it declines, and the VM goes back. A target that is
/// silent before the source has let go loses its turn; one that is silent after it is waited for, since nobody else can
/// say whether it has the VM running.
extension AgentCore {
    /// Takes over a sealed order from an earlier life of this agent.
    mutating func inheritSealed(_ life: OrderLife, at instant: Instant) {
        guard life.order.channel == .sealed else { return }
        // What the source has accepted the target may not have seen before. What the source itself has done may be
        // missing in the ledger altogether.
        let isNewToTarget = life.stage <= .accepted && life.handover == Handover()
        guard life.order.source == host || !isNewToTarget else { return }
        sealedDuties[life.order.id] = SealedDuty(since: instant, isInherited: true)
    }

    /// Why a sealed order does not begin now.
    func reasonNotToSeal(_ life: OrderLife) -> String? {
        guard life.order.channel == .sealed else { return nil }
        if life.sealingKey == nil { return "\(life.order.target) named no key to encrypt the image for" }
        if case .returned(let reason) = life.handover.phase { return reason }
        return nil
    }

    mutating func beginSealed(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        sealedDuties[life.order.id] = SealedDuty(since: instant)
        if let key = life.sealingKey { effects.append(.seal(life.order, key: key)) }
    }

    mutating func advanceSealed(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let id = life.order.id
        guard !busy.contains(id), let duty = sealedDuties[id], instant >= duty.nextTry else { return }
        if duty.mustRecall {
            attempt(id, .recall(life.order), at: instant, effects: &effects)
        } else if life.order.source == host {
            advanceSource(life, duty, at: instant, effects: &effects)
        } else {
            advanceTarget(life, duty, at: instant, effects: &effects)
        }
    }

    private mutating func advanceSource(
        _ life: OrderLife,
        _ duty: SealedDuty,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let id = life.order.id
        switch life.handover.phase {
        case .saving, .returned: attempt(id, .takeBack(life.order), at: instant, effects: &effects)
        case .offered(let isOpened):
            if let reason = life.cancellation {
                say(id, .withdrawn(reason: "cancelled: \(reason)"), at: instant, effects: &effects)
            } else if duty.isInherited {
                // What that life was about to say is not known, so the image is let go by none but the life that sealed.
                let reason = "the agent of \(host) was restarted before it had let go of the image"
                say(id, .withdrawn(reason: reason), at: instant, effects: &effects)
            } else if instant - duty.since > patience(life.handover.image) {
                let reason = "\(life.order.target) did not take the image in time"
                say(id, .withdrawn(reason: reason), at: instant, effects: &effects)
            } else if isOpened {
                attempt(id, .release(life.order), at: instant, effects: &effects)
            }
        case .released where mutations.contains(.takesBackReleased):
            attempt(id, .takeBack(life.order), at: instant, effects: &effects)
        case .released:
            guard instant - duty.since > limits.handover else { return }
            attempt(id, .look(life.order), at: instant, effects: &effects)
        case .arrived: attempt(id, .apply(.discard, life.order), at: instant, effects: &effects)
        }
    }

    private mutating func advanceTarget(
        _ life: OrderLife,
        _ duty: SealedDuty,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let id = life.order.id
        switch life.handover.phase {
        case .arrived, .returned: return
        case .saving, .offered, .released: break
        }
        if let openedAt = duty.openedAt {
            let isLetGo = life.handover.isReleased || mutations.contains(.restoresUnreleased)
            if instant - openedAt > limits.handover {
                // Whoever lets go later reads this, and so does the person who was called meanwhile.
                let reason = "\(life.order.source) did not let go of the image in time"
                say(id, .declined(reason: reason), at: instant, effects: &effects)
            } else if isLetGo {
                sealedDuties[id]?.openedAt = nil
                attempt(id, .restore(life.order), at: instant, effects: &effects)
            }
        } else if life.handover.isReleased || duty.recollection?.hasStarted == true {
            attempt(id, .look(life.order), at: instant, effects: &effects)
        } else if duty.isInherited {
            let reason = "the agent of \(host) was restarted, and the image's key is gone"
            say(id, .declined(reason: reason), at: instant, effects: &effects)
        } else if let image = life.handover.image {
            attempt(id, .unseal(life.order, image), at: instant, effects: &effects)
        }
    }

    /// How long the target may take to open an image: at least 20 MB/s are expected of the storage.
    private func patience(_ image: SealedImage?) -> Duration {
        limits.handover + .seconds(Int64(min((image?.bytes ?? 0) / 20_000_000, 86_400)))
    }

    /// Between two tries of one effect.
    private static let pause: Duration = .seconds(2)

    private mutating func attempt(_ id: OrderID, _ effect: Effect, at instant: Instant, effects: inout [Effect]) {
        busy.insert(id)
        sealedDuties[id]?.nextTry = instant + Self.pause
        effects.append(effect)
    }

    /// Says a word of this host's, which binds it at once, and goes on with what follows from it.
    private mutating func say(_ id: OrderID, _ step: OrderStep, at instant: Instant, effects: inout [Effect]) {
        var handover = orders[id]?.handover
        guard handover?.apply(step) == true else { return }
        report(id, step, at: instant)
        sealedDuties[id]?.turn(at: instant)
        advance(id, at: instant, effects: &effects)
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
            if life.isImageUseless(for: host) { effects.append(.forget(life.order)) }
        }
    }
}

extension OrderLife {
    /// Whether the VM is the source's again: withdrawn or declined.
    var isReturned: Bool { if case .returned = handover.phase { true } else { false } }

    /// Whether a host has no more to do in it.
    fileprivate func isHandoverOver(for host: HostName) -> Bool {
        stage.isFinal || (order.target == host && hasTargetSpoken)
    }

    /// Whether the target has said how it ended for it, whatever is read of the source.
    private var hasTargetSpoken: Bool { isReturned || handover.restored != nil }

    /// Whether it is known that the VM runs, or that this host's image is not the one that it will run from.
    fileprivate func isImageUseless(for host: HostName) -> Bool {
        if stage == .done || failure?.runsOn == order.source { return true }
        return order.target == host && (hasTargetSpoken || (stage.isFinal && failure?.kind != .inDoubt))
    }
}

// MARK: what the effects brought

extension AgentCore {
    mutating func recalled(
        _ id: OrderID,
        _ result: Answer<Recollection>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        guard let life = orders[id], !life.stage.isFinal, let duty = sealedDuties[id] else { return }
        let recollection: Recollection
        switch result {
        case .success(let found): recollection = found
        case .failure(var failure):
            // The shell has told people why; it is asked again.
            guard life.order.source == host, instant - duty.since > limits.doubt else { return }
            (failure.kind, failure.runsOn) = (.inDoubt, nil)
            end(id, .failure(failure), at: instant)
            return
        }
        sealedDuties[id]?.mustRecall = false
        sealedDuties[id]?.recollection = recollection
        sealedDuties[id]?.nextTry = instant
        if life.order.source == host {
            if life.stage < .running {
                guard recollection.hasBegun else {
                    unbegun(life, recollection, at: instant, effects: &effects)
                    return
                }
                report(id, .running(progress: .beginning), at: instant)
            }
            // A note that could not be written for certain may be there all the same: then the VM was taken back.
            let wasTakenBack = recollection.hasStarted || recollection.presence == .running || life.isReturned
            if recollection.hasReleased, !life.handover.isReleased, !wasTakenBack {
                report(id, .released, at: instant)
            }
        }
        advance(id, at: instant, effects: &effects)
    }

    /// Goes on with an order of this source's that no earlier life has begun.
    private mutating func unbegun(
        _ life: OrderLife,
        _ recollection: Recollection,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let id = life.order.id
        sealedDuties[id] = nil
        if life.stage == .submitted {
            advance(id, at: instant, effects: &effects)
        } else if recollection.presence == .running {
            fail(id, .interrupted, "the agent was restarted before the move began", at: instant)
        } else {
            let reason =
                "the agent was restarted and knows of no beginning, but \(life.order.vmName) is "
                + "\(recollection.presence) on \(host): look for its image before it is started"
            end(id, .failure(OrderFailure(kind: .inDoubt, reason: reason, runsOn: nil)), at: instant)
        }
    }

    mutating func sealed(
        _ id: OrderID,
        _ result: Answer<SealedImage>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        guard let life = orders[id], life.stage == .running else { return }
        switch result {
        case .success(let image) where life.cancellation == nil:
            say(id, .sealed(image: image), at: instant, effects: &effects)
        case .failure(let failure) where failure.runsOn == host || failure.kind == .refused:
            end(id, .failure(failure), at: instant)
        case .success: takeBack(life, "cancelled before the image was offered", at: instant, effects: &effects)
        case .failure(let failure):
            sealedDuties[id]?.mayBeSaved = failure.kind == .inDoubt
            takeBack(life, failure.reason, at: instant, effects: &effects)
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

    mutating func unsealed(
        _ id: OrderID,
        _ result: Answer<String>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        guard let life = orders[id], !life.stage.isFinal, !life.isReturned else { return }
        switch result {
        case .success(let digest):
            sealedDuties[id]?.openedAt = instant
            say(id, .opened(digest: digest), at: instant, effects: &effects)
        case .failure(let failure): say(id, .declined(reason: failure.reason), at: instant, effects: &effects)
        }
    }

    mutating func letGo(_ id: OrderID, _ failure: String?, at instant: Instant, effects: inout [Effect]) {
        busy.remove(id)
        guard let life = orders[id], life.stage == .running else { return }
        if let failure {
            let reason = "that the image is let go cannot be noted on \(host): \(failure)"
            say(id, .withdrawn(reason: reason), at: instant, effects: &effects)
        } else {
            say(id, .released, at: instant, effects: &effects)
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
            say(id, .restored(at: since), at: instant, effects: &effects)
            if life.stage.isFinal {
                let words = "order \(id) had been given up, and \(life.order.vmName) runs on \(host) all the same"
                effects.append(.say(words, isGrave: true))
            }
        case .failure(let failure) where failure.kind != .inDoubt:
            say(id, .declined(reason: failure.reason), at: instant, effects: &effects)
        // Seen by looking; nothing is restored twice.
        case .failure:
            sealedDuties[id]?.mustRecall = true
            sealedDuties[id]?.turn(at: instant)
        }
    }

    private mutating func tookBack(_ life: OrderLife, _ result: Answer<Instant>, at instant: Instant) {
        let id = life.order.id
        guard life.stage == .running, let duty = sealedDuties[id] else { return }
        let cause: String
        if case .returned(let reason) = life.handover.phase {
            cause = reason
        } else {
            cause = duty.reason ?? "the agent of \(host) was restarted before it had offered the image"
        }
        switch result {
        case .success:
            // What was asked of the hypervisor may stop the VM yet.
            if life.handover.image == nil, duty.mayBeSaved, instant - duty.since < limits.jobLock { return }
            stayed(life, cause, at: instant)
        case .failure(let failure):
            guard instant - duty.since > limits.doubt else { return }
            let reason = "\(cause); \(life.order.vmName) cannot be taken back: \(failure.reason): look on \(host)"
            end(id, .failure(OrderFailure(kind: .inDoubt, reason: reason, runsOn: nil)), at: instant)
        }
    }

    /// Ends an order whose VM runs here.
    private mutating func stayed(_ life: OrderLife, _ cause: String, at instant: Instant) {
        let kind: OrderFailure.Kind = life.cancellation == nil ? .migration : .cancelled
        let reason = "\(life.order.vmName) is on \(host): \(cause)"
        end(life.order.id, .failure(OrderFailure(kind: kind, reason: reason, runsOn: host)), at: instant)
        // Its target should not have it, and can be asked.
        let hasReleased = sealedDuties[life.order.id]?.recollection?.hasReleased == true
        if life.handover.isReleased || hasReleased { seekTwin(of: life.order.id, at: instant) }
    }

    mutating func sealedLooked(_ id: OrderID, _ sighting: Sighting, at instant: Instant, effects: inout [Effect]) {
        guard let life = orders[id], sealedDuties[id] != nil, busy.remove(id) != nil, !life.stage.isFinal else {
            return
        }
        switch life.handover.phase {
        case .arrived, .returned: return
        case .saving, .offered, .released: break
        }
        if life.order.target == host {
            lookedAsTarget(life, sighting.here, at: instant, effects: &effects)
        } else if life.handover.isReleased {
            lookedAsSource(life, sighting, at: instant, effects: &effects)
        }
    }

    private mutating func lookedAsTarget(
        _ life: OrderLife,
        _ here: Sighting.Standing,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let (id, vm) = (life.order.id, life.order.vmName)
        guard let duty = sealedDuties[id] else { return }
        // What was asked of the hypervisor may come yet.
        let isSettled = instant - duty.since > limits.jobLock
        switch here {
        case .seen(.running), .seen(.migratingOut): say(id, .restored(at: instant), at: instant, effects: &effects)
        case .seen(.absent) where isSettled && duty.recollection?.hasStarted == true && !duty.hasDiscarded:
            guard !duty.hasWarned else { return }
            sealedDuties[id]?.hasWarned = true
            let words = "order \(id): \(vm) was let run on \(host) and is not here any more: was it shut down?"
            effects.append(.say(words, isGrave: true))
        case .seen(.absent) where isSettled:
            say(id, .declined(reason: "\(vm) was not restored on \(host)"), at: instant, effects: &effects)
        // Restored, and its agent died before it let it run: it goes, and the source has it still.
        case .seen(.pausedByMigration) where isSettled:
            attempt(id, .apply(.discard, life.order), at: instant, effects: &effects)
        default: return
        }
    }

    private mutating func lookedAsSource(
        _ life: OrderLife,
        _ sighting: Sighting,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let (id, vm, target) = (life.order.id, life.order.vmName, life.order.target)
        guard let duty = sealedDuties[id] else { return }
        if sighting.here == .seen(.running) {
            stayed(life, "it was taken back, and what \(target) said of it cannot be read", at: instant)
        } else if sighting.there == .seen(.running) {
            // Its agent cannot decline any more, whatever it says later.
            attempt(id, .apply(.discard, life.order), at: instant, effects: &effects)
        } else if instant - duty.since > limits.doubt {
            let reason =
                "\(vm) was let go to \(target), which has not said that it runs there: if it does not and did not, and its "
                + "agent is stopped there, 'virsh restore' its image on \(host)"
            end(id, .failure(OrderFailure(kind: .inDoubt, reason: reason, runsOn: nil)), at: instant)
        }
    }

    mutating func sealedDiscarded(
        _ id: OrderID,
        _ result: Remedy.Result,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        guard let life = orders[id], let duty = sealedDuties[id], busy.remove(id) != nil, !life.stage.isFinal else {
            return
        }
        if life.order.target == host {
            sealedDuties[id]?.hasDiscarded = result == .done
            return
        }
        guard life.stage == .running else { return }
        let image = life.handover.image
        var runningSince: Instant?
        if case .arrived(let since) = life.handover.phase { runningSince = since }
        var notes = runningSince == nil ? ["\(life.order.target) was seen to run it; its agent did not say so"] : []
        if case .refused(let reason) = result {
            notes.append("what is left of it here was not removed: \(reason)")
            effects.append(.say("order \(id): \(life.order.vmName) on \(host): \(reason)", isGrave: true))
        }
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
            downtimeSeconds: runningSince.flatMap { since in image.map { max(0, (since - $0.stoppedAt).inSeconds) } },
            bytesTransferred: image?.imageBytes,
            note: notes.isEmpty ? nil : notes.joined(separator: "; ")
        )
        var evidence = Evidence(channel: .sealed, verdict: .unknown)
        if let image {
            evidence.proof = .sealed(image: image)
            evidence.bytesOnPath = image.bytes
            evidence.bytesByHypervisor = image.imageBytes
            let wasOpened = life.handover.openedDigest == image.digest
            evidence.verdict = image.bytes < image.imageBytes ? .leak : wasOpened ? .covered : .unknown
        }
        end(id, .success(Completion(outcome: outcome, evidence: evidence)), at: instant)
        // Somebody may have started it here meanwhile.
        if case .refused = result { seekTwin(of: id, at: instant) }
    }
}
