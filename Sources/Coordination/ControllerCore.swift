// SPDX-License-Identifier: Apache-2.0
public import Balancing
public import Fleet

/// Decides for the controller, without any I/O: events in, effects out.
///
/// `at` is the time of the event on the controller's clock. It limits the times that other hosts report.
public struct ControllerCore: Sendable {
    public enum Event: Codable, Sendable {
        /// The closures at the end of the previous incarnation; the first event.
        case closures([ClosedChannels.Closure])
        /// The load statistics of the previous incarnation; before any sample.
        case statistics(LoadStatistics)
        /// This process has the ledger's lock, and takes over under this name, which must be unique.
        case lockTaken(controller: String)
        /// This process has no longer the ledger's lock.
        case lockLost(reason: String)
        case sample(LoadSample, at: Instant)
        case order(OrderRecord)
        /// The enrolled hardware of all hosts for which it is known; replaces earlier values.
        case enrolled([HostName: EnrolledHardware])
        /// The hosts that were removed from the cluster; replaces earlier ones.
        case removed(Set<HostName>)
        case report(OrderReport, at: Instant)
        /// All records that the ledger had have been read; before that, records are history and there are no decisions.
        case caughtUp(at: Instant)
        /// The ledger cannot be read: there are no decisions until the next `caughtUp`.
        case ledgerLost
        /// The result of `submit`.
        case submitted(OrderID, Submission)
        /// Time has passed; if a decision is due, `identifier`, which must be unique, starts the names of its orders.
        case tick(at: Instant, identifier: String)
    }

    /// The result of writing an order to the ledger.
    public enum Submission: Codable, Sendable, Equatable {
        case written
        /// The order is not in the ledger and never will be.
        case failed
        /// The ledger may have the order: it counts until it expires.
        case unknown
    }

    public enum Effect: Codable, Sendable, Equatable {
        /// Write the order to the ledger.
        case submit(MigrationOrder)
        /// Write that the order has ended with its VM on this host; repeated until the ledger shows it.
        case end(OrderID, on: HostName, reason: String)
        /// Write the record with which this controller takes over; it orders when it has read it.
        case takeOver(OrderRecord)
        /// Log new information for the operator.
        case announce(ControllerNews)
    }

    /// Computes the plan for a snapshot.
    public typealias Planning = @Sendable (FleetSnapshot) -> Plan

    public let policy: Policy
    private let decisionInterval: Duration
    private let planning: Planning
    private var isCurrent = false
    private var wasCurrent = false
    private var lastDecision: Instant?
    public private(set) var revision: UInt64 = 0
    public private(set) var hosts: [HostName: HostHistory] = [:]
    public private(set) var orders: [OrderID: OrderState] = [:]
    /// Channels closed by leaks; kept when the orders are forgotten.
    public private(set) var closed = ClosedChannels()
    /// The hosts whose claims are trusted.
    private(set) var trust: Trust
    /// Hosts that were removed from the cluster: their agents report nothing any more.
    private(set) var removed: Set<HostName> = []
    /// The target of each VM's last move that is running or done.
    private var arrivals: [VMID: HostName] = [:]
    /// Which host has each VM according to the ledger.
    private var custody = Custody()
    var succession = Succession()
    var hasAnnouncedLoss = false
    /// Load statistics of the VMs, in addition to the histories of the hosts.
    public private(set) var statistics = LoadStatistics()
    /// The hypervisors of targets when they refused an order for a reason that lasts.
    private(set) var refusing: [OrderID: HypervisorFacts] = [:]
    /// Reports that were read before their order, because the ledger's streams are read one after the other.
    private var early: [OrderID: [OrderReport]] = [:]
    /// The latest news of each subject.
    private(set) var announced: [NewsSubject: ControllerNews] = [:]
    /// Deliberate errors, which prove that the simulator's checks can fail.
    package var mutations: Set<Mutation> = []

    /// `planning`: by default `SteadyPlanner`.
    public init(policy: Policy, decisionInterval: Duration = .zero, planning: Planning? = nil) {
        self.policy = policy
        self.decisionInterval = decisionInterval
        trust = Trust(probation: policy.cooldown)
        let planner = SteadyPlanner(policy: policy)
        self.planning = planning ?? { planner.plan(for: $0, seed: 0) }
    }

    /// Applies one event and returns the effects.
    public mutating func handle(_ event: Event) -> [Effect] {
        var effects: [Effect] = []
        revision += 1
        switch event {
        case .closures(let closures): closed.restore(closures)
        case .statistics(let earlier): statistics.restore(earlier)
        case .sample(let sample, let at): take(sample, at: at)
        case .order(let record): take(record, effects: &effects)
        case .enrolled(let hardware): trust.hardware = hardware
        case .removed(let hosts): removed = hosts
        case .report(let report, let at): take(report, at: at, effects: &effects)
        case .submitted(let id, let result): if result == .failed { orders[id] = nil }
        case .caughtUp(let at):
            takeControl(effects: &effects)
            takeOver(at: at, effects: &effects)
        case .ledgerLost: isCurrent = false
        case .lockTaken(let name): succession.begin(as: name)
        case .lockLost(let reason): succession.loseLock(reason: reason)
        case .tick(let at, let identifier):
            if isCurrent { takeOver(at: at, effects: &effects) }
            guard isCurrent, succession.mayOrder, isTimeToDecide(at) else { break }
            lastDecision = at
            decide(at: at, identifier: identifier, effects: &effects)
        }
        announceLoss(effects: &effects)
        return effects
    }

    private mutating func takeControl(effects: inout [Effect]) {
        if !wasCurrent {
            effects.append(.announce(.inControl(hosts: hosts.count, orders: orders.count)))
        }
        isCurrent = true
        wasCurrent = true
    }

    private func isTimeToDecide(_ instant: Instant) -> Bool {
        guard let lastDecision else { return true }
        // A clock that was set back must not hold up decisions.
        return instant - lastDecision >= decisionInterval || instant < lastDecision
    }

    /// Returns the known state of the fleet at an instant.
    public func snapshot(at instant: Instant) -> FleetSnapshot {
        let inOrder = orders.values.sorted { $0.order.id < $1.order.id }
        return FleetSnapshot(
            revision: revision,
            at: instant,
            hosts: hosts.values.sorted { $0.name < $1.name }.map { trust.corrected($0) },
            movesInFlight: inOrder.filter { isInFlight($0, at: instant) }.map(\.move),
            pastMoves: inOrder.compactMap { pastMove($0, at: instant) },
            closedChannels: mutations.contains(.forgetsLeaks) ? [] : closed.channels,
            distrusted: trust.distrusted,
            statistics: statistics,
            custody: mutations.contains(.believesClaims) ? Custody() : custody
        )
    }

    /// Returns whether an order may still move its VM.
    ///
    /// Agents refuse an order that has not begun in time. A running order whose source is silent does not block other
    /// moves: the silent source counts as unknown and takes no part in plans.
    private func isInFlight(_ state: OrderState, at instant: Instant) -> Bool {
        guard !state.stage.isFinal else { return false }
        guard state.mayBeRunning else { return !isExpired(state, at: instant) }
        return instant - heard(from: state) <= policy.staleAfter * 4
    }

    /// Forgets ended orders older than every window, and old reports whose order never appeared.
    ///
    /// Ended orders are kept for another day: their dirty rates and path speeds must not vanish and thereby change a
    /// plan. Those whose source still searches for the VM, or for a second copy, are kept for that.
    private mutating func prune(at instant: Instant) {
        let horizon = instant - max(policy.cooldown, policy.noReturn) - .seconds(86400)
        let searchHorizon = min(horizon, instant - Self.searched)
        orders = orders.filter { _, state in
            if state.stage.isFinal { return !state.isOver(endedSince: horizon, searchedSince: searchHorizon) }
            return state.mayBeRunning || state.order.latestBeginning > horizon
        }
        refusing = refusing.filter { orders[$0.key] != nil }
        early = early.filter { $0.value.contains { $0.at > horizon } }
        hosts = hosts.filter { name, history in
            !removed.contains(name) || history.latest.map { $0.at > horizon } ?? false
        }
        statistics.forget(notSeenSince: horizon)
        arrivals = arrivals.filter { statistics.vms[$0.key] != nil }
        custody.forget(before: horizon) { [statistics] in statistics.vms[$0] == nil }
    }

    private mutating func take(_ reported: LoadSample, at instant: Instant) {
        var sample = reported
        if mutations.contains(.ordersBlockedHosts) { sample.takesNoOrdersBecause = nil }
        if mutations.contains(.ordersImmovable) {
            sample.vms = sample.vms?.map { vm in
                var vm = vm
                vm.cannotMove = nil
                return vm
            }
        }
        let horizon = instant + policy.staleAfter
        var history = hosts.removeValue(forKey: sample.host) ?? HostHistory(name: sample.host, samples: [])
        // The host's clock was ahead and is correct again: the samples dated ahead would hide all newer ones.
        if let latest = history.latest, latest.at > horizon, sample.at <= horizon { history.samples = [] }
        let isNews = history.latest.map { $0.at < sample.at } ?? true
        history.append(sample, policy: policy)
        hosts[sample.host] = history
        // A sample dated too far ahead is no evidence of the present, neither about its host nor about others.
        guard isNews, sample.at <= horizon else { return }
        // History is read at once and later: the samples' own times are the only ones.
        let readAt = wasCurrent ? instant : min(sample.at, instant)
        trust.check(history, at: readAt)
        custody.take(reported, at: readAt)
        guard !trust.isDistrusted(sample.host) else { return }
        let (hosts, arrivals, staleAfter) = (hosts, arrivals, policy.staleAfter)
        // Checks whether another host, too, reports the VM as running, and no move explains it.
        statistics.add(sample) { vm, other in
            guard arrivals[vm] != sample.host, let latest = hosts[other]?.latest, sample.at - latest.at <= staleAfter
            else { return false }
            return latest.vms?.contains { $0.id == vm && $0.state == .running } == true
        }
    }

    private mutating func take(_ record: OrderRecord, effects: inout [Effect]) {
        switch record {
        case .migrate(let order):
            succession.read(order)
            guard orders[order.id] == nil else { return }
            var state = OrderState(order)
            for report in early.removeValue(forKey: order.id) ?? [] {
                state.apply(report.noEarlier(than: order.issuedAt))
            }
            orders[order.id] = state
            closed.take(state)
            noteArrival(state)
        case .cancel(let id, _, let reason):
            orders[id]?.cancel(reason: reason)
        case .end(let id, let host, let at, let reason):
            let end = StatedEnd(host: host, at: at, reason: reason)
            guard orders[id]?.end(end) == true, let state = orders[id] else { return }
            noteArrival(state)
            guard wasCurrent else { return }
            let (vmName, path) = (state.order.vmName, state.move.path)
            effects.append(.announce(.endStated(id, vmName: vmName, path, on: host, reason)))
        case .clear(let path, let channel, let orders, _, _): closed.clear(path, channel, orders: orders)
        case .takeOver(let epoch, let controller, _): succession.read(epoch, of: controller)
        }
    }

    private mutating func noteArrival(_ state: OrderState) {
        switch state.stage {
        case .running, .done: arrivals[state.order.vm] = state.order.target
        case .failed where arrivals[state.order.vm] == state.order.target: arrivals[state.order.vm] = nil
        case .submitted, .accepted, .prepared, .failed: break
        }
        let order = state.order
        switch state.stage {
        case .done: custody.arrive(order.vm, on: order.target, at: state.changedAt)
        // An operator has stated that the VM is at its source.
        case .failed where state.statedEnd != nil: custody.arrive(order.vm, on: order.source, at: state.changedAt)
        case .failed where state.startedAt != nil: custody.fail(order.vm, to: order.target, at: state.changedAt)
        case .submitted, .accepted, .prepared, .running, .failed: break
        }
    }

    /// Applies a report, with its time limited to between the order's issue and now.
    ///
    /// Windows count from a move's end: a wrong clock must neither void nor extend them.
    private mutating func take(_ report: OrderReport, at instant: Instant, effects: inout [Effect]) {
        var report = report
        report.at = min(report.at, instant)
        guard var state = orders[report.order] else {
            // A search is a sign of life only: the next question follows.
            guard !report.step.isOfSearch else { return }
            early[report.order, default: []].append(report)
            return
        }
        let isChanged = state.apply(report.noEarlier(than: state.order.issuedAt))
        // Also without a change: the state notes steps that it does not understand.
        orders[report.order] = state
        guard isChanged else { return }
        if state.lastingRefusal != nil, refusing[report.order] == nil {
            refusing[report.order] = hosts[state.order.target]?.latest?.hypervisor
        }
        let isClosing = closed.take(state)
        noteArrival(state)
        // The previous incarnation announced the events of history when they happened.
        guard wasCurrent, report.step.isFinal, !isKnownToHaveExpired(state) else { return }
        let (vmName, path) = (state.order.vmName, state.move.path)
        switch state.stage {
        case .done: effects.append(.announce(.moved(vmName: vmName, path)))
        case .failed: effects.append(.announce(.notMoved(vmName: vmName, path, state.failure)))
        case .submitted, .accepted, .prepared, .running: break
        }
        guard state.evidence?.verdict == .leak, state.stage.isFinal else { return }
        let closure = isClosing ? closed.closure(of: state.order.channel, on: path) : nil
        effects.append(.announce(.leaked(vmName: vmName, path, closing: closure)))
    }

    private mutating func decide(at instant: Instant, identifier: String, effects: inout [Effect]) {
        prune(at: instant)
        let snapshot = snapshot(at: instant)
        let twice = snapshot.runningTwice(policy: policy)
        announceOnly(twice.map { .runningTwice($0) }, effects: &effects) {
            if case .runningTwice = $0 { true } else { false }
        }
        announceOnly(doubts.map { .doubted($0) }, effects: &effects) {
            if case .claims = $0 { true } else { false }
        }
        announceOnly(unendedOrders(at: instant), effects: &effects) {
            if case .order = $0 { true } else { false }
        }
        endOrdersOfRemovedHosts(at: instant, effects: &effects)
        endSearchesOfRemovedHosts(at: instant, effects: &effects)
        guard policy.mode != .off else {
            announceJudgements(snapshot.judgements(policy: policy), effects: &effects)
            return
        }
        let plan = planning(snapshot)
        announceJudgements(plan.judgements, effects: &effects)
        let refusals = plan.refusals.map {
            ControllerNews.refused(host: $0.host, vm: $0.vm, vmName: $0.vmName, $0.reason)
        }
        announceOnly(refusals, effects: &effects) {
            switch $0 {
            case .stay, .relief: true
            default: false
            }
        }
        // Later waves are planned again from the actual result of the first.
        let moves = plan.moves.filter { $0.wave == 0 }
        // Only moves of this plan can lack a channel now.
        let moving = Set(moves.map(\.vm))
        announced = announced.filter { if case .channel(let vm) = $0.key { moving.contains(vm) } else { true } }
        guard policy.mode == .automatic else {
            let intent: ControllerNews.Intent = policy.mode == .manual ? .recommends : .wouldOrder
            announceOnly(moves.map { $0.news(intent) }, effects: &effects) {
                if case .move = $0 { true } else { false }
            }
            return
        }
        order(moves, by: snapshot, at: instant, identifier: identifier, effects: &effects)
    }

    private mutating func announceJudgements(_ judgements: [Judgement], effects: inout [Effect]) {
        announceOnly(judgements.map { .judged($0) }, effects: &effects) {
            if case .host = $0 { true } else { false }
        }
    }

    private mutating func order(
        _ moves: [PlannedMove],
        by snapshot: FleetSnapshot,
        at instant: Instant,
        identifier: String,
        effects: inout [Effect]
    ) {
        guard !moves.isEmpty else { return }
        let choice = ChannelChoice(snapshot, policy: policy)
        for (index, move) in moves.enumerated() {
            let path = Path(source: move.source, target: move.target)
            guard let channel = choice.channel(on: path) else {
                let reason = choice.noChannelReason(on: path)
                announce(.noChannel(vm: move.vm, vmName: move.vmName, reason), effects: &effects)
                continue
            }
            announced[.channel(move.vm)] = nil
            let order = MigrationOrder(
                move,
                id: OrderID("\(identifier)-\(index + 1)"),
                channel: channel,
                definition: snapshot.definition(of: move.vm, on: move.source),
                issuedAt: instant,
                lifetime: policy.orderLifetime,
                issuer: .controller,
                epoch: succession.epoch
            )
            // The next decision must count this order even if the ledger does not show it yet.
            orders[order.id] = OrderState(order)
            effects.append(.submit(order))
            announce(move.news(.orders), effects: &effects)
        }
    }

    /// Claims of hosts that other hosts contradict, in the order of the hosts.
    public var doubts: [Doubt] { OutcomeCheck(hosts).doubts(orders.values) }

    /// Announces news of one kind of subject, and forgets earlier news of that kind whose subject is no longer in it.
    ///
    /// If a forgotten subject returns, it is announced again.
    private mutating func announceOnly(
        _ news: [ControllerNews],
        effects: inout [Effect],
        of isMeant: (NewsSubject) -> Bool
    ) {
        let subjects = Set(news.compactMap(\.subject))
        announced = announced.filter { !isMeant($0.key) || subjects.contains($0.key) }
        for one in news { announce(one, effects: &effects) }
    }

    private mutating func announce(_ news: ControllerNews, effects: inout [Effect]) {
        if let subject = news.subject {
            if let earlier = announced[subject], news.repeats(earlier) { return }
            announced[subject] = news
        }
        effects.append(.announce(news))
    }
}

extension PlannedMove {
    fileprivate func news(_ intent: ControllerNews.Intent) -> ControllerNews {
        .planned(intent, vm: vm, vmName: vmName, Path(source: source, target: target), reason)
    }
}

extension OrderReport {
    fileprivate func noEarlier(than instant: Instant) -> OrderReport {
        var report = self
        report.at = max(report.at, instant)
        return report
    }
}
