// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// The conditions under which a target closes the gate of an order.
struct GateTests {
    private func shuts(_ effects: [AgentCore.Effect]) -> Int { effects.count { $0 == .shut(order) } }

    /// Returns a target that has checked and consented, so that the gate is open.
    private func consenting() -> AgentCore {
        var core = AgentCore(host: h2)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
        #expect(shuts(core.handle(.targetChecked(order.id, []), at: .second(3))) == 0)
        _ = core.handle(.appended(.written), at: .second(3))
        return core
    }

    @Test func `the gate is closed once when the first bytes have passed`() {
        var core = consenting()
        #expect(shuts(core.handle(.report(report("h1", 4, .running(progress: begin))), at: .second(4))) == 0)
        #expect(shuts(core.handle(.report(report("h1", 6, .running(progress: progress))), at: .second(6))) == 1)
        #expect(shuts(core.handle(.report(report("h1", 8, .running(progress: progress))), at: .second(8))) == 0)
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        #expect(shuts(core.handle(.report(report("h1", 9, done)), at: .second(9))) == 0)
    }

    @Test func `the gate is closed however the order ends`() {
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("no"), .at(h1)))
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        for end in [failed, done] {
            var core = consenting()
            #expect(shuts(core.handle(.report(report("h1", 5, end)), at: .second(5))) == 1)
            #expect(shuts(core.handle(.tick, at: .second(6))) == 0)
        }
    }

    @Test func `the gate of an order that can no longer begin is closed`() {
        var core = consenting()
        let last = order.latestBeginning + core.limits.jobLock
        #expect(shuts(core.handle(.tick, at: last)) == 0)
        #expect(shuts(core.handle(.tick, at: last + .seconds(1))) == 1)
        #expect(shuts(core.handle(.tick, at: last + .seconds(2))) == 0)
    }

    @Test func `a gate opened after the end of its order or by a failed check is closed`() {
        var core = AgentCore(host: h2)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
        var failing = core
        let failed = OrderStep.failed(failure: OrderFailure(.cancelled, .other("lunch"), .at(h1)))
        #expect(shuts(core.handle(.report(report("h1", 2, failed)), at: .second(2))) == 1)
        #expect(shuts(core.handle(.targetChecked(order.id, []), at: .second(3))) == 1, "it was being opened meanwhile")
        let missing = [PreflightFailure(check: .memory, host: h2, reason: .other("too little"))]
        #expect(shuts(failing.handle(.targetChecked(order.id, missing), at: .second(3))) == 1)
    }

    @Test func `at startup the agent closes gates that its previous run may have left open`() {
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("no"), .at(h1)))
        for (steps, expected, why) in [
            ([("h2", OrderStep.prepared())], 1, "prepared and not begun"),
            ([("h2", .prepared()), ("h1", .running(progress: begin))], 0, "it may be about to connect"),
            ([("h2", .prepared()), ("h1", .running(progress: progress))], 1, "its bytes pass already"),
            ([("h2", .prepared()), ("h1", failed)], 1, "ended while the agent was down"),
            ([("h1", .accepted(requirements: requirements))], 0, "it is checked again"),
        ] as [([(String, OrderStep)], Int, Comment)] {
            var core = AgentCore(host: h2)
            _ = core.handle(.order(.migrate(order: order)), at: .second(20))
            for (host, step) in steps { _ = core.handle(.report(report(host, 5, step)), at: .second(20)) }
            #expect(shuts(core.handle(.caughtUp, at: .second(20))) == expected, why)
            #expect(shuts(core.handle(.tick, at: .second(21))) == 0, "once")
        }
    }

    @Test func `at startup the agent closes gates only of orders that ended within an hour`() {
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("no"), .at(h1)))
        for (after, expected) in [(Duration.seconds(3600), 1), (.seconds(3601), 0)] {
            var core = AgentCore(host: h2)
            let now = order.latestBeginning + after
            _ = core.handle(.order(.migrate(order: order)), at: now)
            _ = core.handle(.report(report("h1", 5, failed)), at: now)
            #expect(shuts(core.handle(.caughtUp, at: now)) == expected)
        }
    }

    @Test(arguments: [(Channel.ipsec, Channel.ipsecTLS), (.tls, .plain), (.ipsec, .tls)], [true, false])
    func `the gate stays open while another order from the same source still needs it`(
        _ channels: (first: Channel, second: Channel),
        hasEnded: Bool
    ) {
        var (ended, coming) = (order, order)
        (ended.channel, coming.channel) = channels
        coming.id = OrderID("o2")
        var core = AgentCore(host: h2)
        for order in [ended, coming] { _ = core.handle(.order(.migrate(order: order)), at: .second(20)) }
        func tell(_ order: MigrationOrder, _ step: OrderStep) -> [AgentCore.Effect] {
            var report = report("h1", 5, step)
            report.order = order.id
            return core.handle(.report(report), at: .second(20))
        }
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("no"), .at(h1)))
        if hasEnded {
            _ = tell(ended, failed)
        } else {
            var consent = report("h2", 5, .prepared())
            consent.order = ended.id
            _ = core.handle(.report(consent), at: .second(20))
        }
        _ = tell(coming, .running(progress: begin))
        let atStart = core.handle(.caughtUp, at: .second(20))
        #expect(!atStart.contains(.shut(ended)) && !atStart.contains(.shut(coming)))
        var later = tell(coming, .running(progress: progress))
        if !hasEnded { later += tell(ended, failed) }
        #expect(later.contains(.shut(ended)) && later.contains(.shut(coming)), "then both")
    }

    @Test func `only a target closes gates`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h2", 5, .prepared())), at: .second(20))
        #expect(shuts(core.handle(.caughtUp, at: .second(20))) == 0)
    }
}
