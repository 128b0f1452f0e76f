// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Handles the results of the effects of a sealed move.
extension SealedMove {
    mutating func recalled(
        _ result: AgentCore.Answer<Recollection>,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        isBusy = false
        guard state.isOpen else { return [] }
        let isSource = state.order.source == context.host
        let recollection: Recollection
        switch result {
        case .success(let found): recollection = found
        // The shell has logged the reason; the effect is repeated.
        case .failure(let failure): return isSource ? doubt(failure, state, context) : []
        }
        mustRecall = false
        self.recollection = recollection
        nextTry = context.now
        guard isSource else { return [.advance] }
        var actions: [OrderAction] = []
        if state.stage < .running {
            guard recollection.hasBegun else { return unbegun(state, recollection, context) }
            actions.append(.report(.running(progress: .beginning)))
        }
        // A journal entry may exist although writing it was reported as failed: then the VM was taken back.
        let wasTakenBack = recollection.hasStarted || recollection.presence == .running || state.isReturned
        if recollection.hasReleased, !state.handover.isReleased, !wasTakenBack { actions.append(.report(.released)) }
        return actions + [.advance]
    }

    /// Continues with an order that no earlier incarnation of this source's agent began.
    private func unbegun(
        _ state: OrderState,
        _ recollection: Recollection,
        _ context: OrderContext
    ) -> [OrderAction] {
        if state.stage == .submitted { return [.finish, .advance] }
        let failure: OrderFailure
        if recollection.presence == .running {
            failure = OrderFailure(.interrupted, .order(.agentRestarted), .at(state.order.source))
        } else {
            let (vm, source) = (state.order.vmName, context.host)
            let reason = FailureReason.Sealing.beginningUnknown(vm: vm, source: source, recollection.presence)
            failure = OrderFailure(.inDoubt, .sealed(reason), .unknown)
        }
        return [.finish, .end(.failure(failure))]
    }

    mutating func sealed(
        _ result: AgentCore.Answer<SealedImage>,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        isBusy = false
        guard state.stage == .running else { return [] }
        switch result {
        case .success(let image) where state.cancellation == nil: return say(.sealed(image: image), state, context)
        case .failure(let failure) where failure.whereabouts == .at(context.host) || failure.kind == .refused:
            return [.end(.failure(failure))]
        case .success: return takeBack(state, "cancelled before the image was offered", context)
        case .failure(let failure):
            mayBeSaved = failure.kind == .inDoubt
            return takeBack(state, failure.text, context)
        }
    }

    private mutating func takeBack(_ state: OrderState, _ reason: String, _ context: OrderContext) -> [OrderAction] {
        self.reason = reason
        turn(at: context.now)
        return attempt(.takeBack(state.order, startsWithHost: state.startsWithHost), context)
    }

    mutating func unsealed(
        _ result: AgentCore.Answer<String>,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        isBusy = false
        guard state.isOpen, !state.isReturned else { return [] }
        switch result {
        case .success(let digest):
            openedAt = context.now
            return say(.opened(digest: digest), state, context)
        case .failure(let failure): return say(.declined(reason: failure.text), state, context)
        }
    }

    mutating func letGo(_ failure: String?, _ state: OrderState, _ context: OrderContext) -> [OrderAction] {
        isBusy = false
        guard state.stage == .running else { return [] }
        guard let failure else { return say(.released, state, context) }
        let reason = "\(context.host) cannot release the image: \(failure)"
        return say(.withdrawn(reason: reason), state, context)
    }

    mutating func restored(
        _ result: AgentCore.Answer<Instant>,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        isBusy = false
        if state.order.source == context.host { return tookBack(result, state, context) }
        switch result {
        case .success(let since):
            let actions = say(.restored(at: since), state, context)
            guard !state.isOpen else { return actions }
            let order = state.order
            return actions + [.effect(.announce(.runsAfterEnd(order.id, vm: order.vmName, host: context.host)))]
        case .failure(let failure) where failure.kind != .inDoubt:
            return say(.declined(reason: failure.text), state, context)
        // The next check shows the result; no VM is restored twice.
        case .failure:
            mustRecall = true
            turn(at: context.now)
            return []
        }
    }

    private mutating func tookBack(
        _ result: AgentCore.Answer<Instant>,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        guard state.isOpen else { return [] }
        let cause: String
        if case .returned(let reason) = state.handover.phase {
            cause = reason
        } else {
            cause = reason ?? "the agent of \(context.host) was restarted before it had offered the image"
        }
        switch result {
        case .success:
            // A pending call to the hypervisor may still stop the VM.
            let isSettled = context.now - since >= context.limits.jobLock
            if state.handover.image == nil, mayBeSaved, !isSettled { return [] }
            return stayed(state, cause, context)
        case .failure(let failure):
            if state.isInDoubt { pauseQuestions(context) }
            let reason = FailureReason.Sealing.notTakenBack(
                vm: state.order.vmName,
                source: context.host,
                cause: cause,
                detail: failure.text
            )
            return doubt(OrderFailure(.inDoubt, .sealed(reason), .unknown), state, context)
        }
    }

    /// Ends an order whose VM runs here.
    private func stayed(_ state: OrderState, _ cause: String, _ context: OrderContext) -> [OrderAction] {
        let kind: OrderFailure.Kind = state.cancellation == nil ? .migration : .cancelled
        let reason = FailureReason.Sealing.stayed(vm: state.order.vmName, source: context.host, cause: cause)
        let end = OrderAction.end(.failure(OrderFailure(kind, .sealed(reason), .at(context.host))))
        // The target should not have the VM; an inquiry checks that.
        let mayBeElsewhere = state.handover.isReleased || recollection?.hasReleased == true || state.isInDoubt
        return mayBeElsewhere ? [end, .seekDuplicate] : [end]
    }

    mutating func looked(_ observation: CopyObservation, _ state: OrderState, _ context: OrderContext) -> [OrderAction]
    {
        guard isBusy else { return [] }
        isBusy = false
        guard state.isOpen else { return [] }
        switch state.handover.phase {
        case .arrived: return []
        case .returned where state.order.target == context.host: return []
        case .saving, .offered, .released, .returned: break
        }
        if state.order.target == context.host { return lookedAsTarget(observation, state, context) }
        return state.handover.isReleased || state.isInDoubt ? lookedAsSource(observation, state, context) : []
    }

    private mutating func lookedAsTarget(
        _ here: CopyObservation,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        let (host, vm) = (context.host, state.order.vmName)
        // A pending call to the hypervisor may still take effect.
        let isSettled = context.now - since > context.limits.jobLock
        switch here {
        case .seen(.running), .seen(.migratingOut): return say(.restored(at: context.now), state, context)
        case .seen(.absent) where isSettled && recollection?.hasStarted == true && !hasDiscarded:
            guard !hasWarned else { return [] }
            hasWarned = true
            return [.effect(.announce(.vmIsGone(state.order.id, vm: vm, host: host)))]
        case .seen(.absent) where isSettled:
            return say(.declined(reason: "\(vm) was not restored on \(host)"), state, context)
        // An earlier incarnation restored the VM but did not start it: this copy is removed, and the source still has
        // the VM.
        case .seen(.pausedByMigration) where isSettled: return attempt(.apply(.discard, state.order), context)
        default: return []
        }
    }

    private mutating func lookedAsSource(
        _ observation: CopyObservation,
        _ state: OrderState,
        _ context: OrderContext
    ) -> [OrderAction] {
        let (vm, target) = (state.order.vmName, state.order.target)
        if observation == .seen(.running) {
            let cause =
                state.isInDoubt
                ? "it was started there" : "it was taken back, because the report of \(target) cannot be read"
            return stayed(state, cause, context)
        }
        if state.isInDoubt { return lookedInDoubt(observation, state, context) }
        let reason = FailureReason.Sealing.notTakenUp(vm: vm, source: context.host, target: target)
        return doubt(OrderFailure(.inDoubt, .sealed(reason), .unknown), state, context)
    }

    mutating func discarded(_ result: CopyAction.Result, _ state: OrderState, _ context: OrderContext) -> [OrderAction]
    {
        guard isBusy else { return [] }
        isBusy = false
        guard state.isOpen else { return [] }
        if state.order.target == context.host {
            hasDiscarded = result == .done
            return []
        }
        var actions: [OrderAction] = []
        var notes: [String] = []
        if state.handover.arrivedAt == nil {
            notes.append("\(state.order.target) was observed running it, although its agent did not report this")
        }
        switch result {
        case .refused(let reason):
            notes.append("cannot remove its leftovers on this host: \(reason)")
            let (order, vm) = (state.order.id, state.order.vmName)
            let copy = AgentCore.Announcement.copyNotRemoved(order, vm: vm, host: context.host, detail: reason)
            actions.append(.effect(.announce(copy)))
        case .failed(let reason):
            guard context.now - since > context.limits.doubt else { return [] }
            notes.append("cannot remove its leftovers on this host: \(reason)")
        case .done, .notSo: break
        }
        actions.append(.end(.success(completion(of: state, notes, context))))
        // An operator may have started the VM here meanwhile.
        if case .refused = result { actions.append(.seekDuplicate) }
        return actions
    }

    private func completion(
        of state: OrderState,
        _ notes: [String],
        _ context: OrderContext
    ) -> AgentCore.Completion {
        let image = state.handover.image
        let runningSince = state.handover.arrivedAt
        let startedAt = state.startedAt ?? state.order.issuedAt
        let outcome = MigrationOutcome(
            startedAt: startedAt,
            endedAt: context.now,
            totalSeconds: (context.now - startedAt).inSeconds,
            // The difference of two hosts' clocks.
            downtimeSeconds: runningSince.flatMap { since in image.map { max(0, (since - $0.stoppedAt).inSeconds) } },
            bytesTransferred: image?.imageBytes,
            note: notes.isEmpty ? nil : notes.joined(separator: "; ")
        )
        var evidence = Evidence(channel: .sealed, verdict: .unknown)
        if let image {
            evidence.proof = .sealed(image: image)
            evidence.bytesOnPath = image.bytes
            evidence.bytesByHypervisor = image.imageBytes
            let wasOpened = state.handover.openedDigest == image.digest
            evidence.verdict = image.bytes < image.imageBytes ? .leak : wasOpened ? .covered : .unknown
        }
        return AgentCore.Completion(outcome: outcome, evidence: evidence)
    }
}
