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
    public internal(set) var orders: [OrderID: OrderLife] = [:]
    /// Reports that came before their order.
    var early: [OrderID: [OrderReport]] = [:]
    /// Orders that are other hosts' business, until they end.
    var foreign: Set<OrderID> = []
    /// The place of each order in the ledger: which of two is newer is not for clocks to say.
    var place: [OrderID: Int] = [:]
    var nextPlace = 0
    var isCaughtUp = false
    /// Orders for which an effect is under way in this life of the agent.
    var busy: Set<OrderID> = []
    var cancelling: Set<OrderID> = []
    /// Orders begun by an earlier life, still to be reconciled, and since when that has not been possible.
    var inherited: [OrderID: Instant] = [:]
    var targetChecked: Set<OrderID> = []
    var progressWritten: [OrderID: Instant] = [:]

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
            place[order.id] = nextPlace
            nextPlace += 1
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
        place = place.filter { orders[$0.key] != nil }
        early = early.filter { $0.value.contains { $0.at + hour > instant } }
    }
}
