// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// What an agent does about orders, without any I/O: events in, effects out.
///
/// On the source: accept (read what the VM needs) → wait for the target's consent → migrate → report. On the target:
/// check what the source says the VM needs → consent or refuse. A move begins only when the ledger shows that it does;
/// after a restart, every order of this source that the ledger shows running is an inquiry (see `Inquiry`) before
/// anything else happens to its VM, and none is begun again. A sealed move goes by `Handover` while it runs.
public struct AgentCore: Sendable {
    public struct Limits: Codable, Sendable, Equatable {
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
        /// How long a hypervisor may still begin what an earlier life of this agent asked of it.
        ///
        /// libvirt's QEMU driver waits 30 s for a VM's job lock.
        public var jobLock: Duration
        /// How long the other host of a sealed move may say nothing, beside the time that its image takes.
        public var handover: Duration
        public init(
            consent: Duration = .seconds(30),
            progressInterval: Duration = .seconds(2),
            migration: Duration = .seconds(3600),
            doubt: Duration = .seconds(600),
            silence: Duration = .seconds(300),
            jobLock: Duration = .seconds(35),
            handover: Duration = .seconds(60)
        ) {
            self.consent = consent
            self.progressInterval = progressInterval
            self.migration = migration
            self.doubt = doubt
            self.silence = silence
            self.jobLock = jobLock
            self.handover = handover
        }
    }

    /// What the core is told, and when.
    public struct Event: Codable, Sendable {
        public var at: Instant
        public var kind: Kind
        public init(_ kind: Kind, at: Instant) {
            self.at = at
            self.kind = kind
        }

        public enum Kind: Codable, Sendable {
            /// What was closed when an earlier life of this agent ended; comes first.
            case closures([ClosedChannels.Closure])
            /// The ledger's records, in its order; before `.caughtUp` they are history.
            case order(OrderRecord)
            case report(OrderReport)
            /// Everything that was in the ledger at the start has been read.
            case caughtUp
            /// Time has passed: wanted about once a second while `needsTicks`.
            case tick
            // Results of effects.
            case appended(Appended)
            case requirementsRead(OrderID, Answer<VMRequirements>)
            case targetChecked(OrderID, [PreflightFailure], sealingKey: String? = nil)
            case progressed(OrderID, MigrationProgress)
            case migrationEnded(OrderID, Answer<Completion>)
            case looked(OrderID, Sighting)
            case applied(OrderID, Remedy.Result)
            case cancelTried(OrderID)
            /// Of a failure, `runsOn` is this host where the VM was not stopped or runs again.
            case sealed(OrderID, Answer<SealedImage>)
            /// The digest of the file, where the image is as the source says and lies open here.
            case unsealed(OrderID, Answer<String>)
            /// `failure`: `nil` where it is on this host's disk that the image was let go.
            case letGo(OrderID, failure: String?)
            case recalled(OrderID, Answer<Recollection>)
            /// What became of `restore` or `takeBack`: the instant from which the VM runs here.
            ///
            /// A failure that is not `.inDoubt`: it does not run here, and the image is as it was.
            case restored(OrderID, Answer<Instant>)
        }
    }

    /// What an effect brought: a value, or why there is none; a `Result` that can be recorded.
    public enum Answer<Value: Codable & Sendable>: Codable, Sendable {
        case success(Value)
        case failure(OrderFailure)

        public init(_ result: Result<Value, OrderFailure>) {
            switch result {
            case .success(let value): self = .success(value)
            case .failure(let failure): self = .failure(failure)
            }
        }
    }

    /// A move that succeeded, and the evidence of its path.
    public struct Completion: Codable, Sendable, Equatable {
        public var outcome: MigrationOutcome
        public var evidence: Evidence
        public init(outcome: MigrationOutcome, evidence: Evidence) {
            self.outcome = outcome
            self.evidence = evidence
        }
    }

    /// What became of a report that was to be written to the ledger.
    public enum Appended: Codable, Sendable, Equatable {
        case written
        /// It never can be written.
        case refused
        /// It may be written later, or may be there already.
        case failed
    }

    public enum Effect: Codable, Sendable, Equatable {
        /// Write to the ledger; one at a time, and `.appended` tells what became of it.
        case append(OrderReport)
        case readRequirements(MigrationOrder)
        /// `promisedBytes`: memory that this host has consented to give to other VMs that are not here yet.
        ///
        /// Where nothing is missing, the gate for the order's source is opened.
        case checkTarget(MigrationOrder, VMRequirements, promisedBytes: UInt64)
        /// Close the gate that `checkTarget` has opened for the order, if it is open; connections through it go on.
        case shut(MigrationOrder)
        case migrate(MigrationOrder)
        case cancelMigration(MigrationOrder)
        /// See how the order's VM stands on source and target.
        case look(MigrationOrder)
        case apply(Remedy, MigrationOrder)
        /// Save the VM, and encrypt its image for the target's key onto the shared storage.
        case seal(MigrationOrder, key: String)
        /// Open the image here, with the key that `checkTarget` has made, and see that it is the one described.
        case unseal(MigrationOrder, SealedImage)
        /// Note on this host's disk that the image is let go: the source does not take the VM back any more.
        case release(MigrationOrder)
        /// Look up what an earlier life of this agent has noted of the order.
        case recall(MigrationOrder)
        /// Let the VM run here, from the image that was opened; that it is let run is noted before it is.
        case restore(MigrationOrder)
        /// See that the VM runs here, where it was saved: from its image, if it was stopped.
        case takeBack(MigrationOrder)
        /// Remove what is here of a sealed order that is over: its key, its image in the clear, the encrypted file.
        case forget(MigrationOrder)
        /// Tell the people who watch; `isGrave`: somebody must look.
        case say(String, isGrave: Bool)
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
    /// Orders whose beginning is on its way to the ledger.
    var beginning: Set<OrderID> = []
    var cancelling: Set<OrderID> = []
    var inquiries: [OrderID: Inquiry] = [:]
    var targetChecked: Set<OrderID> = []
    /// Orders for which this host, as their target, may have a gate open.
    var gates: Set<OrderID> = []
    /// What this host has to do with sealed orders.
    var sealedDuties: [OrderID: SealedDuty] = [:]
    /// What leaks of this host's moves have closed; not forgotten with the orders.
    public internal(set) var closed = ClosedChannels()
    var acceptedAt: [OrderID: Instant] = [:]
    var progressWritten: [OrderID: Instant] = [:]
    var outbox = Outbox()
    var latest: Instant?
    /// Breaks a promise on purpose, so that the simulator's checks can be seen to fail.
    package var mutations: Set<Mutation> = []

    public init(host: HostName, limits: Limits = Limits()) {
        self.host = host
        self.limits = limits
    }

    /// Whether time alone may change anything.
    public var needsTicks: Bool {
        !outbox.isEmpty || !inquiries.isEmpty || orders.values.contains { !$0.stage.isFinal }
    }

    public mutating func handle(_ kind: Event.Kind, at instant: Instant) -> [Effect] {
        handle(Event(kind, at: instant))
    }

    /// Takes in one event.
    public mutating func handle(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        let instant = event.at
        heed(instant)
        switch event.kind {
        case .closures(let closures): closed.restore(closures)
        case .order(let record): take(record, at: instant, effects: &effects)
        case .report(let report): take(report, at: instant, effects: &effects)
        case .caughtUp: catchUp(at: instant, effects: &effects)
        case .tick: tick(at: instant, effects: &effects)
        case .appended(let result): appended(result, at: instant, effects: &effects)
        case .requirementsRead(let id, let result): accept(id, result, at: instant)
        case .targetChecked(let id, let failures, let key):
            consent(id, failures, sealingKey: key, at: instant, effects: &effects)
        case .progressed(let id, let progress): progressed(id, progress, at: instant)
        case .migrationEnded(let id, let result): migrationEnded(id, result, at: instant, effects: &effects)
        case .looked(let id, let sighting):
            if inquiries[id] == nil { sealedLooked(id, sighting, at: instant, effects: &effects) }
            looked(id, sighting, at: instant, effects: &effects)
        case .applied(let id, let result):
            if inquiries[id] == nil { sealedDiscarded(id, result, at: instant, effects: &effects) }
            applied(id, result, at: instant, effects: &effects)
        case .cancelTried(let id): cancelling.remove(id)
        case .sealed(let id, let result): sealed(id, result, at: instant, effects: &effects)
        case .unsealed(let id, let result): unsealed(id, result, at: instant, effects: &effects)
        case .letGo(let id, let failure): letGo(id, failure, at: instant, effects: &effects)
        case .recalled(let id, let result): recalled(id, result, at: instant, effects: &effects)
        case .restored(let id, let result): restored(id, result, at: instant, effects: &effects)
        }
        forgetSealed(effects: &effects)
        shutGates(at: instant, effects: &effects)
        if let report = outbox.next(at: instant) { effects.append(.append(report)) }
        return effects
    }

    /// A clock that was set back must not stretch what is being waited for.
    private mutating func heed(_ instant: Instant) {
        if let latest, instant < latest - .seconds(1) {
            let step = instant - latest
            acceptedAt = acceptedAt.mapValues { $0 + step }
            progressWritten = progressWritten.mapValues { $0 + step }
            inquiries = inquiries.mapValues { $0.shifted(by: step) }
            sealedDuties = sealedDuties.mapValues { $0.shifted(by: step) }
        }
        latest = instant
    }
}

// MARK: the ledger's records

extension AgentCore {
    private mutating func take(_ record: OrderRecord, at instant: Instant, effects: inout [Effect]) {
        switch record {
        case .migrate(let order):
            if let known = orders[order.id] {
                guard mutations.contains(.forgetsOrders), known.stage.isFinal else { return }
                targetChecked.remove(order.id)
            }
            let reports = early.removeValue(forKey: order.id) ?? []
            guard order.source == host || order.target == host else {
                if !reports.contains(where: { $0.step.isFinal }) { foreign.insert(order.id) }
                return
            }
            var life = OrderLife(order)
            for report in reports { life.apply(report) }
            orders[order.id] = life
            closed.take(life)
            place[order.id] = nextPlace
            nextPlace += 1
            if isCaughtUp { advance(order.id, at: instant, effects: &effects) }
        case .cancel(let id, _, let reason):
            orders[id]?.cancel(reason: reason)
            if isCaughtUp { advance(id, at: instant, effects: &effects) }
        case .clear(let path, let channel, let orders, _, _): closed.clear(path, channel, orders: orders)
        }
    }

    private mutating func take(_ report: OrderReport, at instant: Instant, effects: inout [Effect]) {
        guard var life = orders[report.order] else {
            if !foreign.contains(report.order) {
                var report = report
                // One dated ahead would be kept for as long as its writer likes.
                report.at = min(report.at, instant)
                early[report.order, default: []].append(report)
            } else if report.step.isFinal {
                foreign.remove(report.order)
            }
            return
        }
        guard life.apply(report) else { return }
        orders[report.order] = life
        closed.take(life)
        if report.step.isOfHandover { sealedDuties[report.order]?.turn(at: instant) }
        if isCaughtUp { advance(report.order, at: instant, effects: &effects) }
    }

    private mutating func catchUp(at instant: Instant, effects: inout [Effect]) {
        guard !isCaughtUp else { return }
        isCaughtUp = true
        let lives = orders.values.sorted { (place[$0.order.id] ?? 0) < (place[$1.order.id] ?? 0) }
        for life in lives {
            if life.order.source == host {
                inherit(life, at: instant, effects: &effects)
            } else {
                inheritSealed(life, at: instant)
            }
        }
        inheritGates(of: lives.filter { $0.order.source != host }, at: instant, effects: &effects)
        for id in pending { advance(id, at: instant, effects: &effects) }
    }

    /// Takes over an order from an earlier life of this agent.
    private mutating func inherit(_ life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        let id = life.order.id
        inheritSealed(life, at: instant)
        // Of a sealed order this host's own disk may know what the ledger does not show.
        if sealedDuties[id] != nil, !life.stage.isFinal { return }
        switch life.stage {
        case .submitted, .done: break
        case .accepted, .prepared:
            // `running` is written before a move begins: this one has not.
            fail(id, .interrupted, "the agent was restarted before the move began", at: instant)
        case .running:
            if mutations.contains(.beginsAgain) {
                busy.insert(id)
                effects.append(.migrate(life.order))
            } else {
                inquiries[id] = Inquiry(.restart, of: life, at: instant, quiet: limits.jobLock)
            }
        case .failed:
            // The earlier life may not have lived to see whether the target had a copy, too.
            guard life.startedAt != nil, instant - life.changedAt < limits.doubt else { break }
            inquiries[id] = Inquiry(.failed, of: life, at: instant)
        }
    }

    private mutating func tick(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp else { return }
        for id in pending { advance(id, at: instant, effects: &effects) }
        for id in inquiries.keys.sorted() where orders[id]?.stage.isFinal != false {
            inquire(id, at: instant, effects: &effects)
        }
        prune(at: instant)
    }

    /// Orders that have not ended, in the ledger's order.
    var pending: [OrderID] {
        orders.values.filter { !$0.stage.isFinal }.map(\.order.id).sorted { (place[$0] ?? 0) < (place[$1] ?? 0) }
    }

    /// For so long after its time an order that has ended is remembered.
    static let remembered: Duration = .seconds(3600)

    /// Forgets orders that have ended and, read again, would be refused as expired; and reports of orders never seen.
    private mutating func prune(at instant: Instant) {
        let hour = Self.remembered
        orders = orders.filter {
            !$0.value.stage.isFinal || $0.value.order.latestBeginning + hour > instant || inquiries[$0.key] != nil
        }
        targetChecked = targetChecked.filter { orders[$0] != nil }
        acceptedAt = acceptedAt.filter { orders[$0.key] != nil }
        place = place.filter { orders[$0.key] != nil }
        early = early.filter { $0.value.contains { $0.at + hour > instant } }
    }
}
