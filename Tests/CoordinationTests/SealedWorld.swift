// SPDX-License-Identifier: Apache-2.0
import Fleet

@testable import Coordination

/// Two agents' cores, a ledger and two hypervisors, for one sealed move: everything happens in an order that a seed
/// chooses, agents die and stand still, clocks step, lines are refused by one reader and not by the other, and calls go
/// wrong or end after those who made them.
struct SealedWorld {
    let order = SealedTests.sealedOrder
    var random: SplitMix64
    var now = Instant.second(1)
    var ledger: [OrderReport] = []
    var agents: [Agent]
    /// The source's image, which is all there is of the VM while neither runs it.
    var image = false
    /// The VM ran after it had been saved, at either host, and was shut down there; at the target, where it is transient,
    /// it left nothing behind.
    var wasShutDown = false
    /// What an agent that died had asked of a hypervisor, and until when that may come.
    var late: [(effect: AgentCore.Effect, until: Instant)] = []
    var isCalm = false
    var violations: [String] = []
    /// Words cost more than the rest: a run that broke a promise is run again with them.
    var log: [String]?
    var saves = 0
    let mutations: Set<Mutation>

    struct Agent {
        let host: HostName
        var core: AgentCore?
        var clock: Duration = .zero
        var read = 0
        var pending: [AgentCore.Effect] = []
        var stillUntil = Instant.second(0)
        /// Of this life.
        var key = false
        var opened = false
        /// On the host's disk.
        var journal: Set<String> = []
        /// How the VM stands on the host.
        var vm: DomainPresence
    }

    init(seed: UInt64, mutations: Set<Mutation> = [], isLogged: Bool = false) {
        random = SplitMix64(seed: seed)
        self.mutations = mutations
        log = isLogged ? [] : nil
        agents = [Agent(host: h1, vm: .running), Agent(host: h2, vm: .absent)]
        for index in agents.indices { start(index) }
    }

    static let limits = AgentCore.Limits(doubt: .seconds(1_000_000))

    var sourceRuns: Bool { agents[0].vm == .running }
    var targetRuns: Bool { agents[1].vm == .running }

    mutating func start(_ index: Int) {
        agents[index].core = AgentCore(host: agents[index].host, limits: Self.limits)
        agents[index].core?.mutations = mutations
        agents[index].pending = []
        (agents[index].key, agents[index].opened) = (false, false)
        feed(index) { _ in .order(.migrate(order: SealedTests.sealedOrder)) }
        agents[index].read = 0
        while agents[index].read < ledger.count { readOn(index) }
        feed(index) { _ in .caughtUp }
    }

    private mutating func readOn(_ index: Int) {
        let report = ledger[agents[index].read]
        agents[index].read += 1
        // Signed with a key that this host does not know yet, dated ahead, damaged on its way: for this reader alone.
        if chance(3) {
            log?.append("\(agents[index].host) refuses \(report.step)")
        } else {
            feed(index) { _ in .report(report) }
        }
    }

    mutating func feed(_ index: Int, _ event: (Instant) -> AgentCore.Event.Kind) {
        let instant = now + agents[index].clock
        agents[index].pending += agents[index].core?.handle(event(instant), at: instant) ?? []
    }

    private mutating func chance(_ percent: Int) -> Bool { !isCalm && random.below(100) < percent }

    /// One thing happens.
    mutating func step() {
        now = now + .milliseconds(random.below(isCalm ? 2000 : 600))
        late.removeAll { $0.until < now }
        if !late.isEmpty, random.below(4) == 0 {
            let effect = late.remove(at: random.below(late.count)).effect
            _ = touch(effect, isWatched: false)
        }
        if targetRuns, random.below(4) == 0, chance(1) {
            log?.append("the VM is shut down on h2")
            agents[1].vm = .absent
            wasShutDown = true
        }
        if sourceRuns, saves > 0, random.below(4) == 0, chance(1) {
            log?.append("the VM is shut down on h1")
            agents[0].vm = .inactive
            wasShutDown = true
        }
        let index = random.below(2)
        guard agents[index].core != nil else {
            if isCalm || random.below(40) == 0 { start(index) }
            return
        }
        guard now >= agents[index].stillUntil || isCalm else { return }
        if random.below(2) == 0, chance(1) { return die(index) }
        if chance(1) {
            agents[index].stillUntil = now + .seconds(random.below(150))
            return
        }
        if chance(1) {
            let step = random.below(2400) - 1200
            agents[index].clock += .seconds(step)
            return
        }
        switch random.below(3) {
        case 0: feed(index) { _ in .tick }
        case 1 where agents[index].read < ledger.count: readOn(index)
        default:
            guard !agents[index].pending.isEmpty else { return }
            // Effects are carried out side by side.
            carryOut(agents[index].pending.remove(at: random.below(agents[index].pending.count)), index)
        }
    }

    /// The faults are over: agents start anew, and read everything.
    mutating func calmDown() {
        for index in agents.indices where agents[index].core != nil { die(index) }
        isCalm = true
    }

    private mutating func die(_ index: Int) {
        log?.append("\(agents[index].host) dies")
        agents[index].core = nil
        for effect in agents[index].pending {
            switch effect {
            case .append(let report): if chance(50) { write(report) }
            case .release: if chance(50) { agents[index].journal.insert("released") }
            case .seal, .restore, .takeBack:
                guard chance(50), effect != .restore(order) || agents[index].opened else { continue }
                if case .seal = effect { agents[index].journal.insert("begun") }
                late.append((effect, now + .seconds(random.below(30))))
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
    ///
    /// `isWatched`: the agent lives that lets a restored VM run; without it the VM stays paused.
    private mutating func touch(_ effect: AgentCore.Effect, isWatched: Bool) -> Bool {
        log?.append("touch \("\(effect)".prefix(60))")
        switch effect {
        case .seal:
            guard sourceRuns else { return false }
            (agents[0].vm, image) = (.inactive, true)
            saves += 1
        case .restore:
            guard agents[1].vm == .absent else { return false }
            agents[1].vm = .pausedByMigration
            if isWatched { run(1) }
        case .takeBack:
            guard agents[0].vm == .inactive, image, !agents[0].journal.contains("started") else { return false }
            agents[0].vm = .pausedByMigration
            if isWatched { run(0) }
        default: return false
        }
        return true
    }

    private mutating func run(_ index: Int) {
        agents[index].journal.insert("started")
        agents[index].vm = .running
        if agents[1 - index].vm == .running {
            violations.append("let run on \(agents[index].host) while it runs elsewhere")
        }
        if wasShutDown { violations.append("let run on \(agents[index].host) from an image older than its disks") }
        if index == 0 { image = false }
    }

    private mutating func carryOut(_ effect: AgentCore.Effect, _ index: Int) {
        let id = order.id
        func failure(_ kind: OrderFailure.Kind, runsOn: HostName? = nil) -> OrderFailure {
            OrderFailure(kind, .other("a fault"), runsOn.map { .at($0) } ?? .unknown)
        }
        switch effect {
        case .append(let report):
            if chance(10) {
                if chance(50) { write(report) }
                feed(index) { _ in .appended(.failed) }
            } else {
                write(report)
                // The loop that reads may be faster than the answer.
                while chance(50), agents[index].read < ledger.count { readOn(index) }
                feed(index) { _ in .appended(.written) }
            }
        case .readRequirements: feed(index) { _ in .requirementsRead(id, .success(requirements)) }
        case .checkTarget:
            agents[index].key = true
            feed(index) { _ in .targetChecked(id, [], sealingKey: "key") }
        case .seal:
            agents[index].journal.insert("begun")
            if chance(10) { return feed(index) { _ in .sealed(id, .failure(failure(.migration, runsOn: h1))) } }
            guard touch(effect, isWatched: true), !chance(10) else {
                return feed(index) { _ in .sealed(id, .failure(failure(.migration))) }
            }
            feed(index) { _ in .sealed(id, .success(SealedTests.image)) }
        case .unseal:
            let can = agents[index].key && !chance(15)
            agents[index].opened = can
            feed(index) { _ in .unsealed(id, can ? .success("d") : .failure(failure(.migration))) }
        case .release:
            // Where writing fails, the note may be on the disk all the same.
            let fails = chance(10)
            if !fails || chance(50) { agents[index].journal.insert("released") }
            feed(index) { _ in .letGo(id, failure: fails ? "disk" : nil) }
        case .recall:
            let (journal, vm) = (agents[index].journal, agents[index].vm)
            let recollection = Recollection(
                hasBegun: journal.contains("begun"),
                hasReleased: journal.contains("released"),
                hasStarted: journal.contains("started"),
                presence: vm
            )
            let fails = chance(10)
            feed(index) { _ in .recalled(id, fails ? .failure(failure(.inDoubt)) : .success(recollection)) }
        case .restore: restore(effect, index)
        case .takeBack: takeBack(effect)
        case .look:
            let there = Sighting.Standing.seen(agents[1].vm)
            let seen = chance(30) ? Sighting.Standing.silent("gone") : there
            let here = index == 0 ? Sighting.Standing.seen(agents[0].vm) : there
            feed(index) { _ in .looked(id, Sighting(here: here, there: seen)) }
        case .apply(.discard, _): discard(index)
        case .apply(.pause, _): violations.append("two copies are being looked after")
        case .forget:
            if index == 0, image {
                if !sourceRuns, !targetRuns, !wasShutDown { violations.append("the only image was removed") }
                image = false
            }
            if index == 1 { (agents[1].key, agents[1].opened) = (false, false) }
        case .shut, .announce: break
        case .migrate, .cancelMigration, .apply: violations.append("unexpected: \(effect)")
        }
    }

    private mutating func restore(_ effect: AgentCore.Effect, _ index: Int) {
        let id = order.id
        func failed(_ kind: OrderFailure.Kind) -> AgentCore.Answer<Instant> {
            .failure(OrderFailure(kind, .other("a fault"), .unknown))
        }
        guard agents[index].opened, !chance(15) else {
            return feed(index) { _ in .restored(id, failed(.migration)) }
        }
        agents[index].opened = false
        if chance(20) {
            // Not at all, paused, or running: its agent does not know.
            if chance(70) { _ = touch(effect, isWatched: chance(50)) }
            return feed(index) { _ in .restored(id, failed(.inDoubt)) }
        }
        let runs = touch(effect, isWatched: true)
        feed(index) { .restored(id, runs ? .success($0) : failed(.migration)) }
    }

    private mutating func takeBack(_ effect: AgentCore.Effect) {
        let id = order.id
        let runs: Bool
        if chance(20) {
            runs = false
        } else if agents[0].vm == .pausedByMigration {
            run(0)
            runs = true
        } else {
            runs = sourceRuns || touch(effect, isWatched: true)
        }
        let failure = OrderFailure(.inDoubt, .other("a fault"), .unknown)
        feed(0) { .restored(id, runs ? .success($0) : .failure(failure)) }
    }

    private mutating func discard(_ index: Int) {
        if index == 0, !targetRuns, !wasShutDown { violations.append("discarded before the target runs it") }
        let isPossible = agents[index].vm == .pausedByMigration || agents[index].vm == .inactive
        if isPossible { agents[index].vm = .absent }
        if index == 0 { image = false }
        feed(index) { _ in .applied(SealedTests.sealedOrder.id, .done) }
    }
}
