// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What an order's life asks of this host now.
extension AgentCore {
    /// Does what the order's life asks of this host now; nothing when an effect of it is under way.
    mutating func advance(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let life = orders[id], !life.stage.isFinal else { return }
        if sealedDuties[id] != nil, !beginning.contains(id), !isUnheardOf(life, at: instant) {
            advanceSealed(life, at: instant, effects: &effects)
        } else if life.order.source == host {
            advanceAsSource(life, at: instant, effects: &effects)
        } else if life.order.target == host {
            advanceAsTarget(life, at: instant, effects: &effects)
        }
    }

    private mutating func advanceAsSource(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let order = life.order
        if inquiries[order.id] != nil {
            let isTooLong = instant - (life.startedAt ?? order.issuedAt) > limits.migration
            if life.cancellation != nil || isTooLong, cancelling.insert(order.id).inserted {
                effects.append(.cancelMigration(order))
            }
            inquire(order.id, at: instant, effects: &effects)
            return
        }
        if let reason = life.cancellation {
            if life.stage == .running, !beginning.contains(order.id) {
                if cancelling.insert(order.id).inserted { effects.append(.cancelMigration(order)) }
            } else if !busy.contains(order.id) {
                fail(order.id, .cancelled, "cancelled: \(reason)", at: instant)
            }
            return
        }
        guard !busy.contains(order.id) else { return }
        switch life.stage {
        case .submitted:
            // Its issuer's clock is a little ahead: it waits.
            if let notBefore = order.notBefore, instant < notBefore, notBefore - instant <= Self.clockTolerance {
                return
            }
            if let (kind, reason) = reasonToRefuse(order, at: instant) {
                fail(order.id, kind, reason, at: instant)
            } else {
                busy.insert(order.id)
                effects.append(.readRequirements(order))
            }
        case .accepted:
            guard instant - (acceptedAt[order.id] ?? life.changedAt) > limits.consent else { return }
            let reason =
                "the agent of \(order.target) did not answer within \(limits.consent): is evenkeel-agent running there?"
            fail(order.id, .refused, reason, at: instant)
        case .prepared:
            // The consent is of a moment long past, if this agent or the ledger stood still in between.
            guard instant <= order.latestBeginning else {
                fail(order.id, .expired, "the order expired before the move began", at: instant)
                return
            }
            // Another move may have leaked since it was taken up.
            if let reason = reasonChannelIsClosed(order) {
                fail(order.id, .refused, reason, at: instant)
                return
            }
            if let reason = reasonNotToSeal(life) {
                fail(order.id, .refused, reason, at: instant)
                return
            }
            busy.insert(order.id)
            beginning.insert(order.id)
            progressWritten[order.id] = instant
            report(order.id, .running(progress: .beginning), at: instant)
        case .running, .done, .failed: return
        }
    }

    /// Takes in what became of the report that was being written, and begins what it says has begun.
    mutating func appended(_ result: Appended, at instant: Instant, effects: inout [Effect]) {
        let said = outbox.waiting.first
        let written = outbox.ended(result, at: instant)
        if case .refused = result { effects.append(.say("a report cannot be written to the ledger", isGrave: true)) }
        guard let said, beginning.contains(said.order), let life = orders[said.order] else { return }
        // Nothing is begun that the ledger does not show as begun: a later life could not reconcile it.
        let obstacle = reasonNotToSeal(life)
        guard written == nil || life.cancellation != nil || obstacle != nil || instant > life.order.latestBeginning
        else {
            guard written?.step.isProgress == true else { return }
            beginning.remove(said.order)
            if life.order.channel == .sealed {
                beginSealed(life, at: instant, effects: &effects)
            } else {
                effects.append(.migrate(life.order))
            }
            return
        }
        beginning.remove(said.order)
        busy.remove(said.order)
        outbox.dropProgress(of: said.order)
        progressWritten[said.order] = nil
        if let reason = life.cancellation {
            fail(said.order, .cancelled, "cancelled: \(reason)", at: instant)
        } else {
            let reason = obstacle ?? "the ledger could not be written in time, so nothing was begun"
            fail(said.order, .refused, reason, at: instant)
        }
    }

    /// Whether a source has fallen silent before it began, and would refuse the order by now: here it must not count for
    /// ever.
    private func isUnheardOf(_ life: OrderLife, at instant: Instant) -> Bool {
        let duty = sealedDuties[life.order.id]
        let mayRunHere = duty.map { $0.mustRecall || $0.recollection?.hasStarted == true } ?? false
        return life.order.target == host && life.stage < .running && life.handover == Handover() && !mayRunHere
            && instant > life.order.latestBeginning + limits.silence
    }

    private mutating func advanceAsTarget(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        if isUnheardOf(life, at: instant) {
            let reason = "its source, \(life.order.source), was not heard of again; the order can no longer begin"
            if sealedDuties[life.order.id] != nil {
                report(life.order.id, .declined(reason: reason), at: instant)
                return
            }
            fail(life.order.id, .expired, reason, at: instant)
            return
        }
        guard life.stage == .accepted, life.cancellation == nil, let requirements = life.requirements,
            targetChecked.insert(life.order.id).inserted
        else { return }
        // The source refuses it, too; that both do leaves one that lies nothing to win.
        if let reason = reasonChannelIsClosed(life.order) {
            fail(life.order.id, .refused, reason, at: instant)
            return
        }
        let promised = orders.values.filter { other in
            other.order.id != life.order.id && other.order.target == host && !other.stage.isFinal
                && (other.stage > .accepted || targetChecked.contains(other.order.id)) && !other.isReturned
        }
        let bytes = promised.reduce(UInt64(0)) { sum, other in
            // The figures are other hosts': none may end this agent.
            let (next, isBeyondCounting) = sum.addingReportingOverflow(other.requirements?.memoryBytes ?? 0)
            return isBeyondCounting ? .max : next
        }
        if life.order.channel.usesMigrationPorts { gates.insert(life.order.id) }
        effects.append(.checkTarget(life.order, requirements, promisedBytes: bytes))
    }

    /// By how much clocks may differ before an order's not-before is taken as meant.
    static let clockTolerance: Duration = .seconds(60)

    /// Whoever gave the order: a leak binds operators, too.
    private func reasonChannelIsClosed(_ order: MigrationOrder) -> String? {
        if mutations.contains(.forgetsLeaks) { return nil }
        return closed.closure(of: order.channel, on: Path(source: order.source, target: order.target))?.words
    }

    /// Why this source does not take up an order at all.
    private func reasonToRefuse(_ order: MigrationOrder, at instant: Instant) -> (OrderFailure.Kind, String)? {
        if instant > order.expires { return (.expired, "the order expired before this agent saw it") }
        if let notBefore = order.notBefore, notBefore - instant > Self.clockTolerance {
            let early = notBefore - instant
            return (.refused, "the order is not to begin for another \(early): are the clocks synchronised?")
        }
        if let reason = reasonChannelIsClosed(order) { return (.refused, reason) }
        if order.technique != order.channel.technique {
            let reason =
                "it asks for \(order.technique.rawValue), but \(order.channel.rawValue) moves a VM by "
                + "\(order.channel.technique.rawValue): give the order again"
            return (.refused, reason)
        }
        if order.source == order.target { return (.refused, "source and target are the same host") }
        let others = pending.filter { $0 != order.id }.compactMap { orders[$0] }
        let begun = others.filter { $0.stage > .submitted || busy.contains($0.order.id) }
        if let other = begun.first(where: { $0.order.vm == order.vm }) {
            return (.refused, "order \(other.order.id) is moving the VM")
        }
        let ownPlace = place[order.id] ?? 0
        if let newer = others.first(where: { $0.order.vm == order.vm && (place[$0.order.id] ?? 0) > ownPlace }) {
            return (.refused, "a newer order for the VM is there, \(newer.order.id)")
        }
        // Each move's evidence is what passed between the two hosts meanwhile, whatever channel each takes: two at once
        // would vouch for each other.
        let path = Path(source: host, target: order.target)
        // A sealed move takes no path, so it vouches for none.
        let sharing = begun.first { $0.move.path == path && $0.order.channel != .sealed }
        if order.channel != .sealed, let other = sharing {
            return (.refused, "order \(other.order.id) is using the path to \(order.target): one move at a time")
        }
        return nil
    }
}
