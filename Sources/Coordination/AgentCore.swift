// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What an agent does about orders, without any I/O: events in, effects out.
///
/// On the source: accept (read what the VM needs) → wait for the target's consent → migrate → report. On the target:
/// check what the source says the VM needs → consent or refuse. After a restart, every order of this source that the
/// ledger shows running is reconciled with the hypervisor before anything else happens to its VM; none is begun again.
public struct AgentCore: Sendable {
    public struct Limits: Sendable, Equatable {
        /// How long the source waits for the target's consent.
        public var consent: Duration
        /// Progress is written to the ledger no more often than this.
        public var progressInterval: Duration
        /// The longest that a migration may take; for those that an earlier life of the agent began.
        public var migration: Duration
        /// How long the hypervisors may leave open where a VM is before a person is called.
        public var doubt: Duration
        /// How long after the latest beginning of an order its target waits for a word of its source.
        public var silence: Duration
        public init(
            consent: Duration = .seconds(30),
            progressInterval: Duration = .seconds(2),
            migration: Duration = .seconds(3600),
            doubt: Duration = .seconds(600),
            silence: Duration = .seconds(300)
        ) {
            self.consent = consent
            self.progressInterval = progressInterval
            self.migration = migration
            self.doubt = doubt
            self.silence = silence
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
        case cancelTried(OrderID)
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
        /// The migration still runs: look again.
        case stillMoving
        /// It cannot be said yet, for this reason: look again.
        case undecided(reason: String)
    }

    public enum Effect: Sendable, Equatable {
        /// Write to the ledger. Effects after it in the same batch wait until it is there.
        case report(OrderReport)
        case readRequirements(MigrationOrder)
        /// `promisedBytes`: memory that this host has consented to give to other VMs that are not here yet.
        case checkTarget(MigrationOrder, VMRequirements, promisedBytes: UInt64)
        case migrate(MigrationOrder)
        case cancelMigration(MigrationOrder)
        case reconcile(MigrationOrder, startedAt: Instant)
    }

    public let host: HostName
    public let limits: Limits
    public private(set) var orders: [OrderID: OrderLife] = [:]
    /// Reports that came before their order.
    private var early: [OrderID: [OrderReport]] = [:]
    /// Orders that are other hosts' business, until they end.
    private var foreign: Set<OrderID> = []
    /// The place of each order in the ledger: which of two is newer is not for clocks to say.
    private var place: [OrderID: Int] = [:]
    private var isCaughtUp = false
    /// Orders for which an effect is under way in this life of the agent.
    private var busy: Set<OrderID> = []
    private var cancelling: Set<OrderID> = []
    /// Orders begun by an earlier life, still to be reconciled, and since when that has not been possible.
    private var inherited: [OrderID: Instant] = [:]
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
        case .cancelTried(let id): cancelling.remove(id)
        }
        return effects
    }
}

// MARK: the ledger's records

extension AgentCore {
    private mutating func take(_ record: OrderRecord, at instant: Instant, effects: inout [Effect]) {
        switch record {
        case .migrate(let order):
            guard orders[order.id] == nil else { return }
            let reports = early.removeValue(forKey: order.id) ?? []
            guard order.source == host || order.target == host else {
                if !reports.contains(where: { $0.step.isFinal }) { foreign.insert(order.id) }
                return
            }
            var life = OrderLife(order)
            for report in reports { life.apply(report) }
            orders[order.id] = life
            place[order.id] = place.count
            if isCaughtUp { advance(order.id, at: instant, effects: &effects) }
        case .cancel(let id, _, let reason):
            orders[id]?.cancel(reason: reason)
            if isCaughtUp { advance(id, at: instant, effects: &effects) }
        }
    }

    private mutating func take(_ report: OrderReport, at instant: Instant, effects: inout [Effect]) {
        guard var life = orders[report.order] else {
            if !foreign.contains(report.order) {
                early[report.order, default: []].append(report)
            } else if report.step.isFinal {
                foreign.remove(report.order)
            }
            return
        }
        guard life.apply(report) else { return }
        orders[report.order] = life
        if isCaughtUp { advance(report.order, at: instant, effects: &effects) }
    }

    private mutating func catchUp(at instant: Instant, effects: inout [Effect]) {
        isCaughtUp = true
        for id in pending {
            guard let life = orders[id], life.order.source == host, life.stage > .submitted else { continue }
            if life.stage == .running {
                inherited[id] = instant
            } else {
                // `running` is written before a move begins: this one has not.
                fail(id, .interrupted, "the agent was restarted before the move began", at: instant, effects: &effects)
            }
        }
        for id in pending { advance(id, at: instant, effects: &effects) }
    }

    private mutating func tick(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp else { return }
        for id in pending { advance(id, at: instant, effects: &effects) }
        prune(at: instant)
    }

    /// Orders that have not ended, in the ledger's order.
    private var pending: [OrderID] {
        orders.values.filter { !$0.stage.isFinal }.map(\.order.id).sorted { (place[$0] ?? 0) < (place[$1] ?? 0) }
    }

    /// Forgets orders that have ended and, read again, would be refused as expired; and reports of orders never seen.
    private mutating func prune(at instant: Instant) {
        let hour = Duration.seconds(3600)
        orders = orders.filter { !$0.value.stage.isFinal || $0.value.order.latestBeginning + hour > instant }
        targetChecked = targetChecked.filter { orders[$0] != nil }
        early = early.filter { $0.value.contains { $0.at + hour > instant } }
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
            advanceAsTarget(life, at: instant, effects: &effects)
        }
    }

    private mutating func advanceAsSource(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let order = life.order
        if inherited[order.id] != nil {
            let startedAt = life.startedAt ?? order.issuedAt
            let isTooLong = instant - startedAt > limits.migration
            if life.cancellation != nil || isTooLong, cancelling.insert(order.id).inserted {
                effects.append(.cancelMigration(order))
            }
            if busy.insert(order.id).inserted { effects.append(.reconcile(order, startedAt: startedAt)) }
            return
        }
        if let reason = life.cancellation {
            if life.stage == .running {
                if cancelling.insert(order.id).inserted { effects.append(.cancelMigration(order)) }
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
            // The consent is of a moment long past, if this agent or the ledger stood still in between.
            guard instant <= order.latestBeginning else {
                fail(order.id, .expired, "the order expired before the move began", at: instant, effects: &effects)
                return
            }
            busy.insert(order.id)
            let begun = MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
            report(order.id, .running(progress: begun), at: instant, effects: &effects)
            progressWritten[order.id] = instant
            effects.append(.migrate(order))
        case .running, .done, .failed: return
        }
    }

    private mutating func advanceAsTarget(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        // Its source has fallen silent before it began, and would refuse it by now: here it must not count for ever.
        if life.stage < .running, instant > life.order.latestBeginning + limits.silence {
            let reason = "its source, \(life.order.source), was not heard of again; the order can no longer begin"
            fail(life.order.id, .expired, reason, at: instant, effects: &effects)
            return
        }
        guard life.stage == .accepted, life.cancellation == nil, let requirements = life.requirements,
            targetChecked.insert(life.order.id).inserted
        else { return }
        let promised = orders.values.filter { other in
            other.order.id != life.order.id && other.order.target == host && !other.stage.isFinal
                && (other.stage > .accepted || targetChecked.contains(other.order.id))
        }
        let bytes = promised.reduce(UInt64(0)) { sum, other in
            // The figures are other hosts': none may end this agent.
            let (next, isBeyondCounting) = sum.addingReportingOverflow(other.requirements?.memoryBytes ?? 0)
            return isBeyondCounting ? .max : next
        }
        effects.append(.checkTarget(life.order, requirements, promisedBytes: bytes))
    }

    /// Why this source does not take up an order at all.
    private func reasonToRefuse(_ order: MigrationOrder, at instant: Instant) -> (OrderFailure.Kind, String)? {
        if instant > order.expires { return (.expired, "the order expired before this agent saw it") }
        if order.source == order.target { return (.refused, "source and target are the same host") }
        let others = orders.values.filter { $0.order.id != order.id && !$0.stage.isFinal }
        let begun = others.filter { $0.stage > .submitted || busy.contains($0.order.id) }
        if let other = begun.first(where: { $0.order.vm == order.vm }) {
            return (.refused, "order \(other.order.id) is moving the VM")
        }
        let ownPlace = place[order.id] ?? 0
        if let newer = others.first(where: { $0.order.vm == order.vm && (place[$0.order.id] ?? 0) > ownPlace }) {
            return (.refused, "a newer order for the VM is there, \(newer.order.id)")
        }
        // Each move's evidence is what passed the tunnel meanwhile; two at once would vouch for each other.
        let path = Path(source: host, target: order.target)
        let sharing = begun.first { $0.move.path == path && $0.order.channel != .plain }
        if order.channel != .plain, let other = sharing {
            return (.refused, "order \(other.order.id) is using the tunnel to \(order.target): one move at a time")
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

    private mutating func fail(
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
    private mutating func report(_ id: OrderID, _ step: OrderStep, at instant: Instant, effects: inout [Effect]) {
        let report = OrderReport(order: id, host: host, at: instant, step: step)
        orders[id]?.apply(report)
        effects.append(.report(report))
    }
}
