// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What an agent does about orders, without any I/O: events in, effects out.
///
/// On the source: accept (read what the VM needs) → wait for the target's consent → migrate → report. On the target:
/// check what the source says the VM needs → consent or refuse. After a restart, every order of this source that the
/// ledger shows begun is reconciled with the hypervisor before anything else happens to its VM; none is begun again.
public struct AgentCore: Sendable {
    public struct Limits: Sendable, Equatable {
        /// How long the source waits for the target's consent.
        public var consent: Duration
        /// Progress is written to the ledger no more often than this.
        public var progressInterval: Duration
        public init(consent: Duration = .seconds(30), progressInterval: Duration = .seconds(2)) {
            self.consent = consent
            self.progressInterval = progressInterval
        }
    }

    public enum Event: Sendable {
        /// The ledger's records, in its order; before `.caughtUp` they are history.
        case order(OrderRecord, at: Instant)
        case report(OrderReport, at: Instant)
        /// Everything that was in the ledger at the start has been read.
        case caughtUp(at: Instant)
        case tick(at: Instant)
        // Results of effects.
        case requirementsRead(OrderID, Result<VMRequirements, OrderFailure>, at: Instant)
        case targetChecked(OrderID, [PreflightFailure], at: Instant)
        case progressed(OrderID, MigrationProgress, at: Instant)
        case migrationEnded(OrderID, Result<Completion, OrderFailure>, at: Instant)
        case reconciled(OrderID, Reconciliation, at: Instant)
    }

    /// A move that succeeded, and the evidence of its path.
    public struct Completion: Sendable, Equatable {
        public var outcome: MigrationOutcome
        public var evidence: Evidence
        public init(outcome: MigrationOutcome, evidence: Evidence) {
            self.outcome = outcome
            self.evidence = evidence
        }
    }

    /// What the hypervisors say of a VM whose order was begun by an earlier life of this agent.
    public enum Reconciliation: Sendable, Equatable {
        case completed(Completion)
        case notMoved(OrderFailure)
        /// The migration still runs, or neither hypervisor could be asked: look again later.
        case undecided
    }

    public enum Effect: Sendable, Equatable {
        /// Write to the ledger. Effects after it in the same batch wait until it is there.
        case report(OrderReport)
        case readRequirements(MigrationOrder)
        case checkTarget(MigrationOrder, VMRequirements)
        case migrate(MigrationOrder, VMRequirements)
        case cancelMigration(MigrationOrder)
        case reconcile(MigrationOrder)
    }

    public let host: HostName
    public let limits: Limits
    public private(set) var orders: [OrderID: OrderLife] = [:]
    private var early: [OrderID: [OrderReport]] = [:]
    private var isCaughtUp = false
    /// Orders for which an effect is under way in this life of the agent.
    private var busy: Set<OrderID> = []
    /// Orders begun by an earlier life, still to be reconciled.
    private var inherited: Set<OrderID> = []
    private var targetChecked: Set<OrderID> = []
    private var progressWritten: [OrderID: Instant] = [:]

    public init(host: HostName, limits: Limits = Limits()) {
        self.host = host
        self.limits = limits
    }

    /// Takes in one event.
    public mutating func handle(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        switch event {
        case .order(let record, let at): take(record, at: at, effects: &effects)
        case .report(let report, let at): take(report, at: at, effects: &effects)
        case .caughtUp(let at): catchUp(at: at, effects: &effects)
        case .tick(let at): tick(at: at, effects: &effects)
        case .requirementsRead(let id, let result, let at): accept(id, result, at: at, effects: &effects)
        case .targetChecked(let id, let failures, let at): consent(id, failures, at: at, effects: &effects)
        case .progressed(let id, let progress, let at): progressed(id, progress, at: at, effects: &effects)
        case .migrationEnded(let id, let result, let at):
            busy.remove(id)
            end(id, result, at: at, effects: &effects)
        case .reconciled(let id, let finding, let at): reconciled(id, finding, at: at, effects: &effects)
        }
        return effects
    }
}

// MARK: the ledger's records

extension AgentCore {
    private mutating func take(_ record: OrderRecord, at instant: Instant, effects: inout [Effect]) {
        switch record {
        case .migrate(let order):
            guard order.source == host || order.target == host, orders[order.id] == nil else { return }
            var life = OrderLife(order)
            for report in early.removeValue(forKey: order.id) ?? [] { life.apply(report) }
            orders[order.id] = life
            if isCaughtUp { advance(order.id, at: instant, effects: &effects) }
        case .cancel(let id, _, let reason):
            orders[id]?.cancel(reason: reason)
            if isCaughtUp { advance(id, at: instant, effects: &effects) }
        }
    }

    private mutating func take(_ report: OrderReport, at instant: Instant, effects: inout [Effect]) {
        guard var life = orders[report.order] else {
            early[report.order, default: []].append(report)
            return
        }
        guard life.apply(report) else { return }
        orders[report.order] = life
        if isCaughtUp { advance(report.order, at: instant, effects: &effects) }
    }

    private mutating func catchUp(at instant: Instant, effects: inout [Effect]) {
        isCaughtUp = true
        for life in orders.values where life.order.source == host && !life.stage.isFinal && life.stage > .submitted {
            inherited.insert(life.order.id)
        }
        for id in orders.keys.sorted() { advance(id, at: instant, effects: &effects) }
    }

    private mutating func tick(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp else { return }
        for id in orders.keys.sorted() { advance(id, at: instant, effects: &effects) }
    }
}

// MARK: one order's next step

extension AgentCore {
    /// Does what the order's life asks of this host now; nothing when an effect of it is under way.
    private mutating func advance(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let life = orders[id], !life.stage.isFinal else { return }
        if life.order.source == host {
            advanceAsSource(life, at: instant, effects: &effects)
        } else if life.order.target == host {
            advanceAsTarget(life, effects: &effects)
        }
    }

    private mutating func advanceAsSource(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let order = life.order
        if inherited.contains(order.id) {
            if busy.insert(order.id).inserted { effects.append(.reconcile(order)) }
            return
        }
        if let reason = life.cancellation {
            if life.stage == .running {
                effects.append(.cancelMigration(order))
            } else if !busy.contains(order.id) {
                fail(order.id, .cancelled, "cancelled: \(reason)", at: instant, effects: &effects)
            }
            return
        }
        guard !busy.contains(order.id) else { return }
        switch life.stage {
        case .submitted:
            if let (kind, reason) = reasonToRefuse(order, at: instant) {
                fail(order.id, kind, reason, at: instant, effects: &effects)
            } else {
                busy.insert(order.id)
                effects.append(.readRequirements(order))
            }
        case .accepted:
            guard instant - life.changedAt > limits.consent else { return }
            let reason =
                "the agent of \(order.target) did not answer within \(limits.consent): is evenkeel-agent running there?"
            fail(order.id, .refused, reason, at: instant, effects: &effects)
        case .prepared:
            guard let requirements = life.requirements else { return }
            // The consent is of a moment long past, if this agent or the ledger stood still in between.
            guard instant <= order.expires + limits.consent else {
                fail(order.id, .expired, "the order expired before the move began", at: instant, effects: &effects)
                return
            }
            busy.insert(order.id)
            let begun = MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
            report(order.id, .running(progress: begun), at: instant, effects: &effects)
            progressWritten[order.id] = instant
            effects.append(.migrate(order, requirements))
        case .running, .done, .failed: return
        }
    }

    private mutating func advanceAsTarget(_ life: OrderLife, effects: inout [Effect]) {
        guard life.stage == .accepted, life.cancellation == nil, let requirements = life.requirements,
            targetChecked.insert(life.order.id).inserted
        else { return }
        effects.append(.checkTarget(life.order, requirements))
    }

    /// Why this source does not take up an order at all.
    private func reasonToRefuse(_ order: MigrationOrder, at instant: Instant) -> (OrderFailure.Kind, String)? {
        if instant > order.expires { return (.expired, "the order expired before this agent saw it") }
        if order.source == order.target { return (.refused, "source and target are the same host") }
        let others = orders.values.filter { $0.order.vm == order.vm && $0.order.id != order.id }
        if let other = others.first(where: { !$0.stage.isFinal && $0.stage > .submitted || busy.contains($0.order.id) })
        {
            return (.refused, "order \(other.order.id) is moving the VM")
        }
        if let newer = others.first(where: { $0.order.issuedAt > order.issuedAt && $0.stage > .submitted }) {
            return (.refused, "a newer order for the VM, \(newer.order.id), was carried out before this one was seen")
        }
        return nil
    }
}

// MARK: results of effects

extension AgentCore {
    private mutating func accept(
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

    private mutating func consent(
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

    private mutating func progressed(
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

    private mutating func end(
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

    private mutating func reconciled(
        _ id: OrderID,
        _ finding: Reconciliation,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        busy.remove(id)
        switch finding {
        case .undecided: return
        case .completed(let completion):
            inherited.remove(id)
            end(id, .success(completion), at: instant, effects: &effects)
        case .notMoved(let failure):
            inherited.remove(id)
            end(id, .failure(failure), at: instant, effects: &effects)
        }
    }

    private mutating func fail(
        _ id: OrderID,
        _ kind: OrderFailure.Kind,
        _ reason: String,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        let failure = OrderFailure(kind: kind, reason: reason, runsOn: orders[id]?.order.source)
        report(id, .failed(failure: failure), at: instant, effects: &effects)
    }

    /// Writes a step of this host and takes it as said at once, so that nothing is done twice while it is written.
    private mutating func report(_ id: OrderID, _ step: OrderStep, at instant: Instant, effects: inout [Effect]) {
        let report = OrderReport(order: id, host: host, at: instant, step: step)
        orders[id]?.apply(report)
        effects.append(.report(report))
    }
}
