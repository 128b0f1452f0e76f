// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Handles the results of effects.
extension AgentCore {
    mutating func accept(
        _ id: OrderID,
        _ result: Answer<VMRequirements>,
        _ probes: [GateProbe],
        at instant: Instant
    ) {
        work[id]?.finishReading()
        guard let item = work[id], item.state.stage == .submitted else { return }
        switch result {
        case .success(var requirements):
            // The setting of the move that brought the VM here may not have been applied yet.
            if awaitsAutostart(requirements.id) { requirements.startsWithHost = true }
            if let reason = item.order.reasonNotFor(definition: requirements.definition) {
                fail(id, .refused, reason, at: instant)
                return
            }
            work[id]?.acceptedAt = instant
            work[id]?.preparation = Preparation(
                probes: probes,
                memoryBytes: requirements.memoryBytes,
                startsWithHost: requirements.startsWithHost == true
            )
            report(id, .accepted(requirements: requirements), at: instant)
        case .failure(let failure): report(id, .failed(failure: failure), at: instant)
        }
    }

    mutating func consent(
        _ id: OrderID,
        _ failures: [PreflightFailure],
        sealingKey: String?,
        gateSeconds: Double?,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        // The order may have ended while its gate was opened, or the check may have failed after opening it.
        guard let item = work[id] else { return }
        if item.order.channel.usesMigrationPorts, !failures.isEmpty || !item.mayHaveGateOpen {
            shut(item.order, effects: &effects)
        }
        guard item.state.stage == .accepted else { return }
        guard !failures.isEmpty else {
            if item.order.channel == .sealed { work[id]?.beginSealed(SealedMove(since: instant)) }
            let startsWithHost = item.state.requirements?.startsWithHost == true
            report(
                id,
                .prepared(sealingKey: sealingKey),
                gateSeconds: gateSeconds,
                takesOverAutostart: startsWithHost ? true : nil,
                // The target of a sealed move syncs before it reports that it has restored the VM.
                confirmsDefinition: item.order.channel == .sealed ? nil : true,
                at: instant
            )
            return
        }
        let failure = OrderFailure(.refused, .preflight, .at(item.order.source), preflight: failures)
        report(id, .failed(failure: failure), at: instant)
    }

    mutating func progressed(_ id: OrderID, _ progress: MigrationProgress, at instant: Instant) {
        guard let item = work[id], item.state.stage == .running, item.isMigrating else { return }
        if let last = item.progressWritten, instant - last < limits.progressInterval { return }
        work[id]?.progressWritten = instant
        report(id, .running(progress: progress), at: instant)
    }

    mutating func migrationEnded(
        _ id: OrderID,
        _ result: Answer<Completion>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        work[id]?.finishMigrating()
        guard let state = work[id]?.state else { return }
        let failure: OrderFailure
        switch result {
        case .success(let completion): return confirm(id, completion, at: instant)
        case .failure(let reason): failure = reason
        }
        if failure.kind == .inDoubt {
            work[id]?.progressWritten = nil
            work[id]?.activity = .inquiry(Inquiry(.lostAnswer(failure), of: state, at: instant))
            inquire(id, at: instant, effects: &effects)
            return
        }
        end(id, result, at: instant)
        if failure.kind != .refused { seekDuplicate(of: id, at: instant) }
    }

    /// Reports how an order ended.
    mutating func end(_ id: OrderID, _ result: Answer<Completion>, at instant: Instant) {
        work[id]?.progressWritten = nil
        work[id]?.finishInquiry()
        switch result {
        case .success(let completion):
            report(id, .done(outcome: completion.outcome, evidence: completion.evidence), at: instant)
        case .failure(let failure): report(id, .failed(failure: failure), at: instant)
        }
    }

    mutating func fail(
        _ id: OrderID,
        _ kind: OrderFailure.Kind,
        _ reason: FailureReason.Obstacle,
        at instant: Instant
    ) {
        // Only an accepted order proves that the VM runs at the source.
        guard let state = work[id]?.state else { return }
        let whereabouts: OrderFailure.Whereabouts = state.stage > .submitted ? .at(state.order.source) : .notLooked
        let failure = OrderFailure(kind, .order(reason), whereabouts)
        report(id, .failed(failure: failure), at: instant)
    }

    /// Queues a step of this host for the ledger and applies it at once, to prevent that it is taken twice.
    mutating func report(
        _ id: OrderID,
        _ step: OrderStep,
        gateSeconds: Double? = nil,
        takesOverAutostart: Bool? = nil,
        confirmsDefinition: Bool? = nil,
        at instant: Instant
    ) {
        let report = OrderReport(
            order: id,
            host: host,
            at: instant,
            step: step,
            gateSeconds: gateSeconds,
            takesOverAutostart: takesOverAutostart,
            confirmsDefinition: confirmsDefinition
        )
        work[id]?.state.apply(report)
        if let state = work[id]?.state { closed.take(state) }
        if mutations.contains(.staysSilent), step.isFinal { return }
        outbox.put(report)
    }
}
