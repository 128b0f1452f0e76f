// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What the effects brought.
extension AgentCore {
    mutating func accept(
        _ id: OrderID,
        _ result: Result<VMRequirements, OrderFailure>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        switch result {
        case .success(let requirements):
            report(id, .accepted(requirements: requirements), at: instant, effects: &effects)
        case .failure(let failure):
            report(id, .failed(failure: failure), at: instant, effects: &effects)
        }
    }

    mutating func consent(
        _ id: OrderID,
        _ failures: [PreflightFailure],
        at instant: Instant,
        effects: inout [Effect]
    ) {
        guard let life = orders[id], life.stage == .accepted else { return }
        guard !failures.isEmpty else {
            report(id, .prepared, at: instant, effects: &effects)
            return
        }
        let failure = OrderFailure(
            kind: .refused,
            reason: failures.map(\.description).joined(separator: "; "),
            runsOn: life.order.source,
            preflight: failures
        )
        report(id, .failed(failure: failure), at: instant, effects: &effects)
    }

    mutating func progressed(
        _ id: OrderID,
        _ progress: MigrationProgress,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        guard orders[id]?.stage == .running else { return }
        if let last = progressWritten[id], instant - last < limits.progressInterval { return }
        progressWritten[id] = instant
        report(id, .running(progress: progress), at: instant, effects: &effects)
    }

    mutating func end(
        _ id: OrderID,
        _ result: Result<Completion, OrderFailure>,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        progressWritten[id] = nil
        switch result {
        case .success(let completion):
            let step = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
            report(id, step, at: instant, effects: &effects)
        case .failure(let failure):
            report(id, .failed(failure: failure), at: instant, effects: &effects)
        }
    }

    mutating func reconciled(
        _ id: OrderID,
        _ finding: Reconciliation,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        switch finding {
        case .stillMoving: inherited[id] = instant
        case .undecided(let reason):
            guard let since = inherited[id], instant - since > limits.doubt else { return }
            inherited[id] = nil
            let words = "\(reason); this has been so for \(limits.doubt): look on both hosts and run the VM on one"
            end(id, .failure(OrderFailure(kind: .inDoubt, reason: words, runsOn: nil)), at: instant, effects: &effects)
        case .completed(let completion):
            inherited[id] = nil
            end(id, .success(completion), at: instant, effects: &effects)
        case .notMoved(let failure):
            inherited[id] = nil
            end(id, .failure(failure), at: instant, effects: &effects)
        }
    }

    mutating func fail(
        _ id: OrderID,
        _ kind: OrderFailure.Kind,
        _ reason: String,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        // Where the VM runs was seen when the order was accepted, not before.
        let wasSeen = orders[id].map { $0.stage > .submitted } ?? false
        let failure = OrderFailure(kind: kind, reason: reason, runsOn: wasSeen ? orders[id]?.order.source : nil)
        report(id, .failed(failure: failure), at: instant, effects: &effects)
    }

    /// Writes a step of this host and takes it as said at once, so that nothing is done twice while it is written.
    mutating func report(_ id: OrderID, _ step: OrderStep, at instant: Instant, effects: inout [Effect]) {
        let report = OrderReport(order: id, host: host, at: instant, step: step)
        orders[id]?.apply(report)
        effects.append(.report(report))
    }
}
