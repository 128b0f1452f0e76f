// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

@testable import Coordination

struct ControllerCoreTests {
    @Test func `lasting overload leads to one order`() throws {
        var core = inControl(Policy())
        for second in [5, 10] {
            overload(&core, at: second)
            #expect(submitted(core.handle(.tick(at: .second(second), identifier: "d\(second)"))).isEmpty)
        }
        overload(&core, at: 15)
        let orders = submitted(core.handle(.tick(at: .second(15), identifier: "d15")))
        let order = try #require(orders.first)
        #expect(orders.count == 1)
        #expect(order.id == OrderID("d15-1") && order.source == h1 && order.target == h2 && order.channel == .ipsec)
        #expect(order.issuer == .controller && order.expires == .second(15) + Policy().orderLifetime)
        overload(&core, at: 20)
        #expect(submitted(core.handle(.tick(at: .second(20), identifier: "d20"))).isEmpty, "it is under way")
    }

    @Test func `implausible figures of a host do not stop planning`() {
        var core = inControl(Policy())
        for second in [5, 10, 15] {
            overload(&core, at: second)
            var vms: [VMSample] = []
            for number in 1...3 {
                vms.append(
                    VMSample(
                        id: VMID("liar-\(number)"),
                        name: "liar-\(number)",
                        state: .running,
                        cpuCores: .greatestFiniteMagnitude,
                        vcpus: .max,
                        memoryBytes: .max
                    )
                )
            }
            let sample = LoadSample(
                host: HostName("h3"),
                at: .second(second),
                intervalSeconds: -.infinity,
                cpu: CPULoad(capacityCores: .greatestFiniteMagnitude, busyCores: .infinity),
                memory: MemoryLoad(totalBytes: .max, usedBytes: .max, availableBytes: 0),
                vms: vms
            )
            _ = core.handle(.sample(sample, at: .second(second)))
        }
        let orders = submitted(core.handle(.tick(at: .second(15), identifier: "d")))
        #expect(orders.count == 1 && orders.first?.target == h2)
    }

    @Test func `a controller that restarts knows the moves in progress`() throws {
        var first = inControl(Policy())
        for second in [5, 10, 15] { overload(&first, at: second) }
        let order = try #require(submitted(first.handle(.tick(at: .second(15), identifier: "d"))).first)
        var second = inControl(Policy())
        _ = second.handle(.order(.migrate(order: order)))
        for time in [5, 10, 15, 20] { overload(&second, at: time) }
        #expect(submitted(second.handle(.tick(at: .second(20), identifier: "e"))).isEmpty)
        #expect(second.snapshot(at: .second(20)).movesInFlight.map(\.vm) == [order.vm])
    }

    @Test func `an order that no host accepted is forgotten after it expires`() {
        var core = inControl(Policy())
        _ = core.handle(.order(.migrate(order: order)))
        #expect(core.snapshot(at: .second(100)).movesInFlight.count == 1)
        #expect(core.snapshot(at: order.latestBeginning + .seconds(1)).movesInFlight.count == 1, "it may yet begin")
        #expect(core.snapshot(at: order.latestBeginning + .seconds(31)).movesInFlight.isEmpty)
    }

    @Test func `a running move counts as long as its source sends samples`() {
        var core = inControl(Policy())
        _ = core.handle(.order(.migrate(order: order)))
        for step in [OrderStep.accepted(requirements: requirements), .running(progress: progress)] {
            _ = core.handle(.report(report("h1", 2, step), at: .second(9)))
        }
        overload(&core, at: 99_990)
        #expect(core.snapshot(at: .second(100_000)).movesInFlight.count == 1)
        #expect(core.snapshot(at: .second(100_990)).movesInFlight.isEmpty, "the move of a dead source does not count")
    }

    @Test func `an order that could not be written does not count as a move`() throws {
        var core = inControl(Policy())
        for second in [5, 10, 15] { overload(&core, at: second) }
        let order = try #require(submitted(core.handle(.tick(at: .second(15), identifier: "d"))).first)
        _ = core.handle(.submitted(order.id, .failed))
        #expect(core.snapshot(at: .second(15)).movesInFlight.isEmpty)
    }

    @Test func `reports that arrive before their order count`() {
        var core = inControl(Policy())
        let step = OrderStep.failed(failure: OrderFailure(.refused, .other("no"), .at(h1)))
        _ = core.handle(.report(report("h2", 2, step), at: .second(9)))
        _ = core.handle(.order(.migrate(order: order)))
        #expect(core.orders[order.id]?.stage == .failed)
        #expect(core.snapshot(at: .second(3)).pastMoves.map(\.succeeded) == [false])
    }

    @Test(arguments: OperatingMode.allCases) func `only the automatic mode moves VMs`(mode: OperatingMode) {
        var core = inControl(Policy(mode: mode))
        var effects: [ControllerCore.Effect] = []
        for second in stride(from: 5, through: 30, by: 5) {
            overload(&core, at: second)
            effects += core.handle(.tick(at: .second(second), identifier: "d\(second)"))
        }
        let spoken = effects.compactMap { if case .announce(let one) = $0 { one } else { nil } }
        let intents = spoken.compactMap { news -> ControllerNews.Intent? in
            guard case .planned(let intent, let vm, _, Path(source: h1, target: h2), _) = news, vm == order.vm
            else { return nil }
            return intent
        }
        switch mode {
        case .off: #expect(intents.isEmpty)
        case .advise: #expect(intents == [.wouldOrder], "once, not with every decision")
        case .manual: #expect(intents == [.recommends])
        case .automatic: #expect(intents == [.orders])
        }
        #expect(submitted(effects).count == (mode == .automatic ? 1 : 0))
        #expect(spoken.count { $0.isOverload(of: h1) } == 1, "hosts are judged in every mode")
    }

    @Test func `a verdict is announced once, and so is a refusal`() {
        var core = inControl(Policy())
        var spoken: [ControllerNews] = []
        for second in stride(from: 5, through: 60, by: 5) {
            overload(&core, at: second, targetCPU: 3)
            for effect in core.handle(.tick(at: .second(second), identifier: "d\(second)")) {
                if case .announce(let news) = effect { spoken.append(news) }
            }
        }
        #expect(spoken.count { $0.isOverload(of: h1) } == 1)
        let refusals = spoken.compactMap { news -> [String]? in
            guard case .refused(h1, order.vm, _, let reason) = news else { return nil }
            return [reason.code] + reason.obstacleCodes
        }
        #expect(!refusals.isEmpty && Set(refusals).count == refusals.count, "each reason once")
    }

    @Test func `a refusal that returns is announced again`() {
        let refusal = Refusal(host: h1, vm: order.vm, vmName: "vm1", reason: .noOtherHost)
        var core = ControllerCore(policy: Policy()) { snapshot in
            Plan(
                snapshotRevision: snapshot.revision,
                at: snapshot.at,
                strategy: .balance,
                moves: [],
                judgements: [],
                refusals: snapshot.at == .second(15) ? [] : [refusal],
                before: FleetScore(),
                after: FleetScore()
            )
        }
        _ = core.handle(.caughtUp(at: .second(0)))
        let counts = [5, 10, 15, 20, 25].map { second in
            core.handle(.tick(at: .second(second), identifier: "d\(second)")).count {
                if case .announce(.refused) = $0 { true } else { false }
            }
        }
        #expect(counts == [1, 0, 0, 1, 0])
    }

    @Test func `a removed host is forgotten once its samples are old`() {
        var core = inControl(Policy())
        overload(&core, at: 5)
        _ = core.handle(.removed([h2]))
        _ = core.handle(.tick(at: .second(10), identifier: "a"))
        #expect(core.hosts.keys.sorted() == [h1, h2])
        _ = core.handle(.tick(at: .second(10 * 86400), identifier: "b"))
        #expect(core.hosts.keys.sorted() == [h1])
    }

    @Test func `changed figures are not announced, but a changed verdict, obstacle or target is`() {
        func refused(_ obstacles: [Obstacle]) -> ControllerNews {
            let reason = RefusalReason.noTarget(obstacles.map { HostsObstacle([h2], $0) })
            return .refused(host: h1, vm: order.vm, vmName: "vm1", reason)
        }
        func judged(_ verdict: Judgement.Verdict, cpu: Double) -> ControllerNews {
            .judged(Judgement(host: h1, verdict: verdict, reason: .load(cpu: cpu, memory: 0.5, signs: [])))
        }
        func planned(to target: HostName, _ gain: Double) -> ControllerNews {
            let cause = MoveReason.Cause.overload(h1, [.cpu(share: gain, allowed: 0.8, isForecast: false)])
            return .planned(
                .recommends,
                vm: order.vm,
                vmName: "vm1",
                Path(source: h1, target: target),
                MoveReason(cause)
            )
        }
        func overload(_ share: Double) -> Obstacle { .cpuOverload(share: share, isLeast: false) }
        #expect(refused([overload(0.9)]).repeats(refused([overload(0.95)])))
        #expect(!refused([overload(0.9)]).repeats(refused([.noGain])))
        #expect(!refused([overload(0.9)]).repeats(refused([overload(0.9), .noGain])))
        #expect(judged(.light, cpu: 0.1).repeats(judged(.calm, cpu: 0.7)), "both are at ease")
        #expect(!judged(.overloaded, cpu: 0.9).repeats(judged(.calm, cpu: 0.7)))
        #expect(planned(to: h2, 0.9).repeats(planned(to: h2, 0.95)))
        #expect(!planned(to: h2, 0.9).repeats(planned(to: HostName("h3"), 0.9)))
    }

    private func submitted(_ effects: [ControllerCore.Effect]) -> [MigrationOrder] {
        effects.compactMap { if case .submit(let order) = $0 { order } else { nil } }
    }
}

struct OrderStateTests {
    @Test func `steps only advance and must come from the right host`() {
        let running = OrderStep.running(progress: progress)
        let failed = OrderStep.failed(failure: OrderFailure(.refused, .other("late"), .notLooked))
        let steps: [(OrderReport, counts: Bool, why: Comment)] = [
            (report("h1", 1, .prepared()), false, "consent is the target's"),
            (report("h2", 1, running), false, "running is the source's to say"),
            (report("h1", 2, running), true, "reported by the source"),
            (report("h1", 3, .accepted(requirements: requirements)), true, "its requirements were missing"),
            (report("h1", 3, .accepted(requirements: requirements)), false, "no step back"),
            (report("h2", 4, failed), false, "once it runs, only the source ends it"),
            (report("h1", 5, failed), true, "the source ends it"),
            (report("h1", 6, .done(outcome: completion.outcome, evidence: completion.evidence)), false, "it has ended"),
        ]
        var state = OrderState(order)
        for (report, counts, why) in steps {
            let changed = state.apply(report)
            #expect(changed == counts, why)
        }
        #expect(state.stage == .failed && state.changedAt == .second(5))
    }
}

extension ControllerNews {
    fileprivate func isOverload(of host: HostName) -> Bool {
        guard case .judged(let judgement) = self else { return false }
        return judgement.host == host && judgement.verdict == .overloaded
    }
}
