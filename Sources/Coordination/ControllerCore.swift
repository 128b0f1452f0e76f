// SPDX-License-Identifier: Apache-2.0
internal import Balancing
public import Fleet

/// What the controller decides, without any I/O: events in, effects out.
public struct ControllerCore: Sendable {
    public enum Event: Sendable {
        case sample(LoadSample)
        case order(OrderRecord)
        case report(OrderReport)
        /// An order could not be written to the ledger: nobody will ever see it.
        case submissionFailed(OrderID)
        /// It is time to decide. `identifier` is unique to this decision; orders are named after it.
        case decide(at: Instant, identifier: String)
    }

    public enum Effect: Sendable, Equatable {
        /// Write the order to the ledger.
        case submit(MigrationOrder)
        /// Tell the people who watch: a decision or a refusal that is new.
        case announce(Announcement)
    }

    /// A sentence for people about a host or a VM.
    public struct Announcement: Sendable, Equatable {
        public enum Kind: String, Sendable { case judgement, refusal, move, ended, leak, twice }
        public var kind: Kind
        public var text: String
        public init(kind: Kind, text: String) {
            self.kind = kind
            self.text = text
        }
    }

    public private(set) var policy: Policy
    public private(set) var revision: UInt64 = 0
    public private(set) var hosts: [HostName: HostHistory] = [:]
    public private(set) var orders: [OrderID: OrderLife] = [:]
    /// Reports that came before their order (the ledger's files are read one after the other).
    private var early: [OrderID: [OrderReport]] = [:]
    private var announced: [String: String] = [:]

    public init(policy: Policy) { self.policy = policy }

    /// Takes in one event.
    public mutating func handle(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        revision += 1
        switch event {
        case .sample(let sample): take(sample)
        case .order(let record): take(record)
        case .report(let report): take(report, effects: &effects)
        case .submissionFailed(let id): orders[id] = nil
        case .decide(let at, let identifier): decide(at: at, identifier: identifier, effects: &effects)
        }
        return effects
    }

    /// The fleet as it is known at an instant.
    public func snapshot(at instant: Instant) -> FleetSnapshot {
        let inOrder = orders.values.sorted { $0.order.id < $1.order.id }
        return FleetSnapshot(
            revision: revision,
            at: instant,
            hosts: hosts.values.sorted { $0.name < $1.name },
            movesInFlight: inOrder.filter { isInFlight($0, at: instant) }.map(\.move),
            pastMoves: inOrder.filter { $0.stage.isFinal }.map(\.pastMove),
            closedPaths: Set(inOrder.filter { $0.evidence?.verdict == .leak }.map(\.move.path))
        )
    }

    /// Whether an order may still move its VM.
    ///
    /// One that nobody began in time never will: agents refuse it. One whose source has fallen silent holds up nobody
    /// else: its source counts as unknown, and so takes no part, as long as it is silent.
    private func isInFlight(_ life: OrderLife, at instant: Instant) -> Bool {
        guard !life.stage.isFinal else { return false }
        guard life.stage == .running else { return instant <= life.order.latestBeginning + policy.staleAfter }
        let heard = max(hosts[life.order.source]?.latest?.at ?? life.changedAt, life.changedAt)
        return instant - heard <= policy.staleAfter * 4
    }

    /// Forgets what can no longer matter: ended orders older than every window, and reports of orders never seen.
    private mutating func prune(at instant: Instant) {
        let horizon = instant - max(policy.cooldown, policy.noReturn) - .seconds(3600)
        orders = orders.filter {
            !$0.value.stage.isFinal || $0.value.evidence?.verdict == .leak || $0.value.changedAt > horizon
        }
        early = early.filter { $0.value.contains { $0.at > horizon } }
    }

    private mutating func take(_ sample: LoadSample) {
        var history = hosts[sample.host] ?? HostHistory(name: sample.host, samples: [])
        history.append(sample, policy: policy)
        hosts[sample.host] = history
    }

    private mutating func take(_ record: OrderRecord) {
        switch record {
        case .migrate(let order):
            guard orders[order.id] == nil else { return }
            var life = OrderLife(order)
            for report in early.removeValue(forKey: order.id) ?? [] { life.apply(report) }
            orders[order.id] = life
        case .cancel(let id, _, let reason):
            orders[id]?.cancel(reason: reason)
        }
    }

    private mutating func take(_ report: OrderReport, effects: inout [Effect]) {
        guard var life = orders[report.order] else {
            early[report.order, default: []].append(report)
            return
        }
        guard life.apply(report) else { return }
        orders[report.order] = life
        let move = "\(life.order.vmName) from \(life.order.source) to \(life.order.target)"
        switch life.stage {
        case .done:
            effects.append(.announce(Announcement(kind: .ended, text: "moved \(move)")))
            if life.evidence?.verdict == .leak {
                let text =
                    "LEAK: moving \(move), less passed the tunnel than was sent; nothing more is planned on this path"
                effects.append(.announce(Announcement(kind: .leak, text: text)))
            }
        case .failed:
            let reason = life.failure?.reason ?? "no reason given"
            effects.append(.announce(Announcement(kind: .ended, text: "did not move \(move): \(reason)")))
        case .submitted, .accepted, .prepared, .running: break
        }
    }

    private mutating func decide(at instant: Instant, identifier: String, effects: inout [Effect]) {
        prune(at: instant)
        let snapshot = snapshot(at: instant)
        let twice = snapshot.runningTwice(policy: policy)
        for one in twice {
            announce(.twice, about: "two of \(one.vm)", ifChanged: one.words, text: one.words, effects: &effects)
        }
        for subject in announced.keys
        where subject.hasPrefix("two of ") && !twice.contains(where: { subject == "two of \($0.vm)" }) {
            announced[subject] = nil
        }
        guard policy.mode != .off else {
            tell(snapshot.judgements(policy: policy), effects: &effects)
            return
        }
        let plan = SteadyPlanner(policy: policy).plan(for: snapshot, seed: 0)
        tell(plan.judgements, effects: &effects)
        for refusal in plan.refusals {
            let what =
                refusal.vmName.map { "\($0) stays on \(refusal.host)" } ?? "\(refusal.host) is not relieved further"
            announce(
                .refusal,
                about: what,
                ifChanged: String(refusal.reason.filter { !$0.isNumber }),
                text: "\(what): \(refusal.reason)",
                effects: &effects
            )
        }
        // Later waves are planned again from what really happened.
        let moves = plan.moves.filter { $0.wave == 0 }
        guard policy.mode == .automatic else {
            recommend(moves, effects: &effects)
            return
        }
        for (index, move) in moves.enumerated() {
            let order = MigrationOrder(
                move,
                id: OrderID("\(identifier)-\(index + 1)"),
                issuedAt: instant,
                lifetime: policy.orderLifetime,
                issuer: .controller
            )
            // Known from now on, so that the next decision counts it even before the ledger shows it.
            orders[order.id] = OrderLife(order)
            effects.append(.submit(order))
            effects.append(.announce(Announcement(kind: .move, text: "move \(Self.words(move))")))
        }
    }

    private mutating func tell(_ judgements: [Judgement], effects: inout [Effect]) {
        for judgement in judgements {
            announce(
                .judgement,
                about: "host \(judgement.host)",
                // Figures change with each sample, and a host goes to and fro between light and calm: no news.
                ifChanged: judgement.verdict.isAtEase ? "at ease" : judgement.verdict.rawValue,
                text: "\(judgement.host) is \(judgement.verdict.rawValue): \(judgement.reason)",
                effects: &effects
            )
        }
    }

    /// Says what would be moved, once for as long as it stays the same.
    private mutating func recommend(_ moves: [PlannedMove], effects: inout [Effect]) {
        let subjects = Set(moves.map { "move of \($0.vm)" })
        for subject in announced.keys where subject.hasPrefix("move of ") && !subjects.contains(subject) {
            announced[subject] = nil
        }
        let verb = policy.mode == .manual ? "recommended: move" : "would move"
        for move in moves {
            announce(
                .move,
                about: "move of \(move.vm)",
                ifChanged: move.target.rawValue,
                text: "\(verb) \(Self.words(move))",
                effects: &effects
            )
        }
    }

    private static func words(_ move: PlannedMove) -> String {
        "\(move.vmName) from \(move.source) to \(move.target): \(move.reason)"
    }

    private mutating func announce(
        _ kind: Announcement.Kind,
        about subject: String,
        ifChanged key: String,
        text: String,
        effects: inout [Effect]
    ) {
        guard announced[subject] != key else { return }
        announced[subject] = key
        effects.append(.announce(Announcement(kind: kind, text: text)))
    }
}
