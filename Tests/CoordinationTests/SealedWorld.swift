// SPDX-License-Identifier: Apache-2.0
import Fleet

@testable import Coordination

/// Two agents' cores, a ledger and two hypervisors, for one sealed move: everything happens in an order that a seed
/// chooses, agents die and stand still, and calls go wrong or end after those who made them.
struct SealedWorld {
    let order = SealedTests.sealedOrder
    var random: SplitMix64
    var now = Instant.second(1)
    var ledger: [OrderReport] = []
    var agents: [Agent]
    var sourceRuns = true
    var targetRuns = false
    /// The source's image, which is all there is of the VM while neither runs it.
    var image = false
    /// What an agent that died had asked of a hypervisor, and until when that may come.
    var late: [(effect: AgentCore.Effect, until: Instant)] = []
    var isCalm = false
    var violations: [String] = []
    /// Words cost more than the rest: a run that broke a promise is run again with them.
    var log: [String]?
    var saves = 0

    struct Agent {
        let host: HostName
        var core: AgentCore?
        var read = 0
        var pending: [AgentCore.Effect] = []
        var stillUntil = Instant.second(0)
        /// Of this life.
        var key = false
        var opened = false
    }

    init(seed: UInt64, isLogged: Bool = false) {
        random = SplitMix64(seed: seed)
        log = isLogged ? [] : nil
        agents = [h1, h2].map { Agent(host: $0) }
        for index in agents.indices { start(index) }
    }

    static let limits = AgentCore.Limits(doubt: .seconds(1_000_000))

    mutating func start(_ index: Int) {
        agents[index].core = AgentCore(host: agents[index].host, limits: Self.limits)
        agents[index].pending = []
        (agents[index].key, agents[index].opened) = (false, false)
        feed(index, .order(.migrate(order: order), at: now))
        for report in ledger { feed(index, .report(report, at: now)) }
        agents[index].read = ledger.count
        feed(index, .caughtUp(at: now))
    }

    mutating func feed(_ index: Int, _ event: AgentCore.Event) {
        agents[index].pending += agents[index].core?.handle(event) ?? []
    }

    private mutating func chance(_ percent: Int) -> Bool { !isCalm && random.below(100) < percent }

    /// One thing happens.
    mutating func step() {
        now = now + .milliseconds(random.below(isCalm ? 2000 : 600))
        late.removeAll { $0.until < now }
        if !late.isEmpty, random.below(4) == 0 {
            let effect = late.remove(at: random.below(late.count)).effect
            _ = touch(effect)
        }
        let index = random.below(2)
        guard agents[index].core != nil else {
            if isCalm || random.below(40) == 0 { start(index) }
            return
        }
        guard now >= agents[index].stillUntil || isCalm else { return }
        if chance(2) { return die(index) }
        if chance(1) {
            agents[index].stillUntil = now + .seconds(random.below(150))
            return
        }
        switch random.below(3) {
        case 0: feed(index, .tick(at: now))
        case 1 where agents[index].read < ledger.count:
            let report = ledger[agents[index].read]
            agents[index].read += 1
            feed(index, .report(report, at: now))
        default:
            guard !agents[index].pending.isEmpty else { return }
            // Effects are carried out side by side.
            carryOut(agents[index].pending.remove(at: random.below(agents[index].pending.count)), index)
        }
    }

    private mutating func die(_ index: Int) {
        log?.append("\(agents[index].host) dies")
        agents[index].core = nil
        for effect in agents[index].pending {
            switch effect {
            case .append(let report): if chance(50) { write(report) }
            case .seal, .restore, .takeBack:
                if chance(50), effect != .restore(order) || agents[index].opened {
                    late.append((effect, now + .seconds(random.below(30))))
                }
            default: break
            }
        }
        agents[index].pending = []
    }

    private mutating func write(_ report: OrderReport) {
        log?.append("\(report.host): \(report.step)")
        ledger.append(report)
    }

    /// What an effect does to the hypervisors; false: nothing.
    private mutating func touch(_ effect: AgentCore.Effect) -> Bool {
        log?.append("touch \("\(effect)".prefix(60))")
        switch effect {
        case .seal:
            guard sourceRuns else { return false }
            (sourceRuns, image) = (false, true)
            saves += 1
        case .restore:
            guard !targetRuns else { return false }
            if sourceRuns { violations.append("restored at the target while the source runs it") }
            targetRuns = true
        case .takeBack:
            guard !sourceRuns, image else { return sourceRuns }
            if targetRuns { violations.append("taken back while the target runs it") }
            (sourceRuns, image) = (true, false)
        default: return false
        }
        return true
    }

    private mutating func carryOut(_ effect: AgentCore.Effect, _ index: Int) {
        let id = order.id
        func failure(_ kind: OrderFailure.Kind, runsOn: HostName? = nil) -> OrderFailure {
            OrderFailure(kind: kind, reason: "a fault", runsOn: runsOn)
        }
        switch effect {
        case .append(let report):
            if chance(10) {
                if chance(50) { write(report) }
                feed(index, .appended(.failed, at: now))
            } else {
                write(report)
                // The loop that reads may be faster than the answer.
                while chance(50), agents[index].read < ledger.count {
                    agents[index].read += 1
                    feed(index, .report(ledger[agents[index].read - 1], at: now))
                }
                feed(index, .appended(.written, at: now))
            }
        case .readRequirements: feed(index, .requirementsRead(id, .success(requirements), at: now))
        case .checkTarget:
            agents[index].key = true
            feed(index, .targetChecked(id, [], sealingKey: "key", at: now))
        case .seal:
            if chance(10) { return feed(index, .sealed(id, .failure(failure(.migration, runsOn: h1)), at: now)) }
            guard touch(effect), !chance(10) else {
                return feed(index, .sealed(id, .failure(failure(.migration)), at: now))
            }
            feed(index, .sealed(id, .success(SealedTests.image), at: now))
        case .unseal:
            let can = agents[index].key && !chance(15)
            agents[index].opened = can
            feed(index, .unsealed(id, failure: can ? nil : "a fault", at: now))
        case .restore:
            guard agents[index].opened, !chance(15) else {
                return feed(index, .restored(id, .failure(failure(.migration)), at: now))
            }
            agents[index].opened = false
            if chance(20) {
                if chance(50) { _ = touch(effect) }
                return feed(index, .restored(id, .failure(failure(.inDoubt)), at: now))
            }
            _ = touch(effect)
            feed(index, .restored(id, .success(now), at: now))
        case .takeBack:
            let runs = !chance(20) && touch(effect)
            feed(index, .restored(id, runs ? .success(now) : .failure(failure(.inDoubt)), at: now))
        case .look:
            let there = Sighting.Standing.seen(targetRuns ? .running : .absent)
            let own: Sighting.Standing = index == 0 ? .seen(sourceRuns ? .running : .inactive) : there
            feed(index, .looked(id, Sighting(here: own, there: chance(30) ? .silent("gone") : there), at: now))
        case .apply(.discard, _):
            if !targetRuns { violations.append("discarded before the target runs it") }
            image = false
            feed(index, .applied(id, .done, at: now))
        case .forget:
            if index == 0 {
                if !sourceRuns, !targetRuns { violations.append("the only image was removed") }
                image = false
            }
        case .shut, .say: break
        case .migrate, .cancelMigration, .apply: violations.append("unexpected: \(effect)")
        }
    }
}
