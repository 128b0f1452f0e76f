// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A VM that is on its source again after its move was done.
struct ReturnTests {
    private func moved() -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        for step in [.running(progress: progress), done] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        #expect(core.handle(.caughtUp, at: .second(20)) == [])
        return core
    }

    private func alerts(_ effects: [AgentCore.Effect]) -> Int {
        effects.count { if case .announce(.returned) = $0 { true } else { false } }
    }

    @Test func `a copy that runs beside the target's is paused, and reported once`() {
        var core = moved()
        // Also days later.
        #expect(core.handle(.tick, at: .second(500_000)).isEmpty)
        #expect(core.handle(.known([order.vm]), at: .second(500_000)).isEmpty)
        #expect(round(&core, here: .running, there: .running, at: 500_001) == [.apply(.pause, order)])
        #expect(alerts(core.handle(.applied(order.id, .done), at: .second(500_002))) == 1)
        // It must not start with its host, either.
        #expect(round(&core, here: .paused, there: .running, at: 500_010) == [.apply(.pause, order)])
        #expect(alerts(core.handle(.applied(order.id, .done), at: .second(500_011))) == 0)
        // An operator has removed it.
        #expect(core.handle(.tick, at: .second(500_020)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.absent)), at: .second(500_021)).isEmpty && !core.needsTicks)
        _ = core.handle(.known([order.vm]), at: .second(500_030))
        #expect(core.handle(.tick, at: .second(500_031)) == [.look(order)], "it is watched for again")
    }

    @Test func `a clock that is ahead for a while does not end the watch`() {
        var core = AgentCore(host: h1)
        let ahead = 300_000_000
        _ = core.handle(.order(.migrate(order: order)), at: .second(ahead))
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        for step in [.running(progress: progress), done] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(ahead))
        }
        #expect(core.handle(.caughtUp, at: .second(ahead)).isEmpty)
        #expect(core.handle(.tick, at: .second(ahead + 1)).isEmpty)
        // The clock is set right, and then the VM starts.
        #expect(core.handle(.tick, at: .second(30)).isEmpty)
        #expect(core.handle(.known([order.vm]), at: .second(31)).isEmpty)
        #expect(core.handle(.tick, at: .second(32)) == [.look(order)])
    }

    @Test func `a definition that has come back is removed`() {
        var core = moved()
        _ = core.handle(.known([VMID("another"), order.vm]), at: .second(30))
        #expect(round(&core, here: .inactive, there: .running, at: 31) == [.apply(.discard, order)])
        #expect(core.handle(.applied(order.id, .done), at: .second(32)).isEmpty && !core.needsTicks)
    }

    @Test func `a VM that was moved back by hand stays`() {
        var core = moved()
        _ = core.handle(.known([order.vm]), at: .second(30))
        #expect(round(&core, here: .running, there: .absent, at: 31).isEmpty, "others may have it")
        #expect(core.handle(.tick, at: .second(34)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(34)).isEmpty)
        #expect(core.handle(.known([order.vm]), at: .second(40)).isEmpty && !core.needsTicks)
        #expect(core.handle(.tick, at: .second(41)).isEmpty)
    }

    @Test func `a copy that runs beside the one of a third host is paused`() throws {
        var core = moved()
        _ = core.handle(.known([order.vm]), at: .second(30))
        #expect(round(&core, here: .running, there: .absent, at: 31).isEmpty)
        let third = OrderStep.answered(presence: .running, question: .second(31))
        #expect(core.handle(.report(report("h3", 32, third)), at: .second(32)).isEmpty)
        #expect(core.handle(.tick, at: .second(34)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(34)) == [.apply(.pause, order)])
        let effects = core.handle(.applied(order.id, .done), at: .second(35))
        guard case .announce(.returned(order.id, vm: "vm1", let failure))? = effects.first else {
            Issue.record("no alert: \(effects)")
            return
        }
        #expect(failure.whereabouts == .at(HostName("h3")))
    }

    @Test func `a copy that is back paused by a migration is left, and reported`() {
        var core = moved()
        _ = core.handle(.known([order.vm]), at: .second(30))
        #expect(alerts(round(&core, here: .pausedByMigration, there: .absent, at: 31)) == 1)
        #expect(core.handle(.known([order.vm]), at: .second(40)).isEmpty && !core.needsTicks)
    }

    @Test func `a VM that an order has brought back is not searched`() {
        var core = moved()
        var back = order
        (back.id, back.source, back.target) = (OrderID("o2"), h2, h1)
        _ = core.handle(.order(.migrate(order: back)), at: .second(30))
        var running = report("h2", 30, .running(progress: begin))
        running.order = back.id
        _ = core.handle(.report(running), at: .second(30))
        _ = core.handle(.known([order.vm]), at: .second(31))
        #expect(core.handle(.tick, at: .second(32)).isEmpty)
    }

    @Test func `nothing is concluded while the target does not answer`() {
        var core = moved()
        _ = core.handle(.known([order.vm]), at: .second(30))
        #expect(core.handle(.tick, at: .second(31)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(31)).count == 1)
        _ = core.handle(.appended(.written), at: .second(31))
        for second in stride(from: 50, to: 600, by: 70) {
            #expect(core.handle(.tick, at: .second(second)) == [.look(order)])
            #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(second)).isEmpty)
        }
    }
}
