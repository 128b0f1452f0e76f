// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What the effects brought.
extension AgentCore {
    mutating func accept(
        _ id: OrderID,
        _ result: Answer<VMRequirements>,
        at instant: Instant
    ) {
        busy.remove(id)
        guard orders[id]?.stage == .submitted else { return }
        switch result {
        case .success(let requirements):
            if let reason = orders[id]?.order.reasonNotFor(definition: requirements.definition) {
                fail(id, .refused, reason, at: instant)
                return
            }
            acceptedAt[id] = instant
            report(id, .accepted(requirements: requirements), at: instant)
        case .failure(let failure): report(id, .failed(failure: failure), at: instant)
        }
    }

    mutating func consent(
        _ id: OrderID,
        _ failures: [PreflightFailure],
        sealingKey: String?,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        // The order may have ended while its gate was being opened; and what failed may have failed after that.
        if let order = orders[id]?.order, order.channel.usesMigrationPorts, !failures.isEmpty || !gates.contains(id) {
            shut(order, effects: &effects)
        }
        guard let life = orders[id], life.stage == .accepted else { return }
        guard !failures.isEmpty else {
            if life.order.channel == .sealed { sealedDuties[id] = SealedDuty(since: instant) }
            report(id, .prepared(sealingKey: sealingKey), at: instant)
            return
        }
        let failure = OrderFailure(
            kind: .refused,
            reason: failures.map(\.description).joined(separator: "; "),
            runsOn: life.order.source,
            preflight: failures
        )
        report(id, .failed(failure: failure), at: instant)
    }

    mutating func progressed(_ id: OrderID, _ progress: MigrationProgress, at instant: Instant) {
        guard orders[id]?.stage == .running, busy.contains(id) else { return }
        if let last = progressWritten[id], instant - last < limits.progressInterval { return }
        progressWritten[id] = instant
        report(id, .running(progress: progress), at: instant)
    }

    mutating func migrationEnded(
        _ id: OrderID,
        _ result: Answer<Completion>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        guard let life = orders[id] else { return }
        guard case .failure(let failure) = result else {
            end(id, result, at: instant)
            return
        }
        if failure.kind == .inDoubt {
            progressWritten[id] = nil
            inquiries[id] = Inquiry(.lostAnswer(failure), of: life, at: instant)
            inquire(id, at: instant, effects: &effects)
            return
        }
        end(id, result, at: instant)
        if failure.kind != .refused { seekTwin(of: id, at: instant) }
    }

    /// Reports how an order ended.
    mutating func end(_ id: OrderID, _ result: Answer<Completion>, at instant: Instant) {
        progressWritten[id] = nil
        inquiries[id] = nil
        switch result {
        case .success(let completion):
            report(id, .done(outcome: completion.outcome, evidence: completion.evidence), at: instant)
        case .failure(let failure): report(id, .failed(failure: failure), at: instant)
        }
    }

    mutating func fail(
        _ id: OrderID,
        _ kind: OrderFailure.Kind,
        _ reason: String,
        at instant: Instant
    ) {
        // Where the VM runs was seen when the order was accepted, not before.
        let wasSeen = orders[id].map { $0.stage > .submitted } ?? false
        let failure = OrderFailure(kind: kind, reason: reason, runsOn: wasSeen ? orders[id]?.order.source : nil)
        report(id, .failed(failure: failure), at: instant)
    }

    /// Has a step of this host written, and takes it as said at once, so that nothing is done twice meanwhile.
    mutating func report(_ id: OrderID, _ step: OrderStep, at instant: Instant) {
        let report = OrderReport(order: id, host: host, at: instant, step: step)
        orders[id]?.apply(report)
        if let life = orders[id] { closed.take(life) }
        if mutations.contains(.keepsQuiet), step.isFinal { return }
        outbox.put(report)
    }
}
