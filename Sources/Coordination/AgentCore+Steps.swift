// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Advances orders according to their state.
extension AgentCore {
    /// Takes the order's next step on this host; does nothing while one of its effects runs.
    mutating func advance(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let item = work[id], item.isPending else { return }
        switch item.activity {
        case .sealed where item.isSealedDoubt && isOvertaken(item):
            // The VM has run since, so this image is older than its disks.
            work[id]?.finishSealed()
            effects.append(.forget(item.order))
        case .sealed: sealed(id, at: instant, &effects) { $0.advance($1, $2) }
        case .inquiry:
            let isTooLong = item.movingTime(at: instant) > limits.migration
            if item.state.cancellation != nil || isTooLong { cancelMigration(id, effects: &effects) }
            inquire(id, at: instant, effects: &effects)
        case .checkingCopy: advanceCheck(id, at: instant, effects: &effects)
        case .confirming: advanceConfirmation(id, at: instant, effects: &effects)
        case .idle, .readingRequirements, .beginning, .migrating:
            if item.order.source == host {
                advanceAsSource(item, at: instant, effects: &effects)
            } else {
                advanceAsTarget(item, at: instant, effects: &effects)
            }
        }
    }

    mutating func cancelMigration(_ id: OrderID, effects: inout [Effect]) {
        guard let item = work[id], !item.isCancelling else { return }
        work[id]?.isCancelling = true
        effects.append(.cancelMigration(item.order))
    }

    private mutating func advanceAsSource(_ item: OrderWork, at instant: Instant, effects: inout [Effect]) {
        let (state, order) = (item.state, item.order)
        // A newer version of this agent may have begun the move, or the journal shows that this host has.
        if hasUnseenBeginning(state), state.stage < .running, !item.isBusy {
            searchInherited(state, at: instant)
            return
        }
        if let reason = state.cancellation {
            if state.stage == .running, !item.isBeginning {
                cancelMigration(order.id, effects: &effects)
            } else if !item.isBusy {
                fail(order.id, .cancelled, .cancelled(reason: reason), at: instant)
            }
            return
        }
        guard !item.isBusy else { return }
        switch state.stage {
        case .submitted:
            // The issuer's clock is slightly ahead: wait until the order may begin.
            if let notBefore = order.notBefore, instant < notBefore, notBefore - instant <= Self.clockTolerance {
                return
            }
            if let (kind, reason) = reasonToRefuse(order, at: instant) {
                fail(order.id, kind, reason, at: instant)
            } else if let other = orderToWaitFor(item, at: instant) {
                work[order.id]?.waitsFor = other
            } else {
                work[order.id]?.activity = .readingRequirements
                effects.append(.readRequirements(order))
            }
        case .accepted:
            guard instant - (item.acceptedAt ?? state.changedAt) > limits.consent else { return }
            fail(order.id, .refused, .targetSilent(order.target, limit: limits.consent), at: instant)
        case .prepared:
            // This agent or the ledger may have been down since the target's consent, which is outdated then.
            guard instant <= order.latestBeginning else {
                fail(order.id, .expired, .expiredWaiting, at: instant)
                return
            }
            // Another move may have leaked since this order was accepted.
            if let reason = reasonChannelIsClosed(order) {
                fail(order.id, .refused, reason, at: instant)
                return
            }
            if let reason = state.reasonNotToSeal {
                fail(order.id, .refused, reason, at: instant)
                return
            }
            work[order.id]?.activity = .beginning
            work[order.id]?.clockStep = .zero
            work[order.id]?.progressWritten = instant
            report(order.id, .running(progress: .beginning), at: instant)
        case .running:
            // An earlier incarnation began it, and its records came late.
            if mutations.contains(.overlooksOrders) { return }
            inheritSealed(state, at: instant)
            if case .sealed? = work[order.id]?.activity { return }
            searchInherited(state, at: instant)
        case .done, .failed: return
        }
    }

    /// Applies the result of writing a report, and begins the move if the written report states that it has begun.
    mutating func appended(_ result: Appended, at instant: Instant, effects: inout [Effect]) {
        let said = outbox.waiting.first
        let written = outbox.ended(result, at: instant)
        if case .refused = result { effects.append(.announce(.reportRefused)) }
        guard let said, let item = work[said.order], item.isBeginning else { return }
        let state = item.state
        // A move begins only if the ledger shows it as begun: a later incarnation could not reconcile it otherwise.
        let isUnmarked = result == .unmarked && !mutations.contains(.beginsUnmarked)
        let obstacle = state.reasonNotToSeal ?? (isUnmarked ? .beginningNotMarked : nil)
        let cancellation = state.cancellation ?? state.statedEnd?.reason
        guard written == nil || cancellation != nil || obstacle != nil || instant > state.order.latestBeginning
        else {
            guard written?.step.isProgress == true else { return }
            if let key = state.sealingKey, state.order.channel == .sealed {
                work[said.order]?.beginSealed(SealedMove(since: instant, isBusy: true))
                effects.append(.seal(state.order, key: key))
            } else {
                migrate(said.order, effects: &effects)
            }
            return
        }
        work[said.order]?.activity = .idle
        outbox.dropProgress(of: said.order)
        work[said.order]?.progressWritten = nil
        if let reason = cancellation {
            fail(said.order, .cancelled, .cancelled(reason: reason), at: instant)
        } else {
            fail(said.order, .refused, obstacle ?? .ledgerNotWritten, at: instant)
        }
    }

    mutating func migrate(_ id: OrderID, effects: inout [Effect]) {
        guard let item = work[id] else { return }
        work[id]?.activity = .migrating
        work[id]?.preparation = nil
        let needs = item.state.requirements
        let none = Preparation(
            probes: [],
            memoryBytes: needs?.memoryBytes ?? 0,
            startsWithHost: needs?.startsWithHost == true
        )
        effects.append(.migrate(item.order, item.preparation ?? none))
    }

    private mutating func advanceAsTarget(_ item: OrderWork, at instant: Instant, effects: inout [Effect]) {
        let state = item.state
        if state.isSilent(since: item.readAt, at: instant, silence: limits.silence, clockStep: item.clockStep) {
            fail(state.order.id, .expired, .sourceSilent(state.order.source), at: instant)
            return
        }
        guard state.stage == .accepted, state.cancellation == nil, let requirements = state.requirements,
            !item.isTargetChecked
        else { return }
        work[state.order.id]?.isTargetChecked = true
        // The source checks this, too. Because both do, a lying host cannot use a closed channel.
        if let reason = reasonSuperseded(state.order) ?? reasonChannelIsClosed(state.order) {
            fail(state.order.id, .refused, reason, at: instant)
            return
        }
        if state.order.channel.usesMigrationPorts { work[state.order.id]?.mayHaveGateOpen = true }
        effects.append(.checkTarget(state.order, requirements, promisedBytes: promisedBytes(besides: state.order)))
    }

    /// Returns the memory promised to VMs of other orders that have not arrived yet, in bytes.
    private func promisedBytes(besides order: MigrationOrder) -> UInt64 {
        let promised = work.values.filter { other in
            other.order.id != order.id && other.order.target == host && !other.state.stage.isFinal
                && (other.state.stage > .accepted || other.isTargetChecked) && !other.state.isReturned
        }
        return promised.reduce(UInt64(0)) { sum, other in
            // The figures come from other hosts: an overflow must not crash this agent.
            guard !other.order.isOffline else { return sum }
            let (next, overflowed) = sum.addingReportingOverflow(other.state.requirements?.memoryBytes ?? 0)
            return overflowed ? .max : next
        }
    }
}

extension OrderState {
    /// Returns whether the source has been silent for too long since the latest start of an order that it has not
    /// begun.
    ///
    /// The source would refuse the order now. Without this limit, the target would reserve memory for it forever. The
    /// source's reports may be read some time after the order, which was read at `readAt`. `clockStep` is the change of
    /// this host's clock since then; `readAt` includes it.
    func isSilent(since readAt: Instant, at instant: Instant, silence: Duration, clockStep: Duration) -> Bool {
        stage < .running && handover == Handover() && !hasUnseenBeginning
            && instant > max(order.latestBeginning + clockStep, readAt) + silence
    }
}
