// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Testing

@testable import Coordination

/// Steps that a newer version wrote end nothing, and begin nothing again.
struct UnknownStepTests {
    private let unknown = OrderStep.notUnderstood(step: "teleported")

    @Test func `an unknown step of a running order keeps it running`() {
        var state = OrderState(order)
        state.apply(report("h1", 2, .running(progress: progress)))
        for host in ["h1", "h2", "h3"] {
            let isChanged = state.apply(report(host, 3, unknown))
            #expect(!isChanged)
            #expect(state.stage == .running && state.changedAt == .second(2))
        }
        state.apply(report("h1", 4, .done(outcome: completion.outcome, evidence: completion.evidence)))
        #expect(state.stage == .done, "what is understood ends it")
    }

    @Test(arguments: [true, false]) func `a target keeps its promise to a source that took an unknown step`(
        isKnown: Bool
    ) {
        var core = AgentCore(host: h2)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
        _ = core.handle(.targetChecked(order.id, []), at: .second(3))
        if !isKnown { _ = core.handle(.report(report("h1", 4, unknown)), at: .second(4)) }
        _ = core.handle(.tick, at: order.latestBeginning + .seconds(301))
        #expect((core.orders[order.id]?.stage == .failed) == isKnown)
    }

    @Test func `an older agent does not begin again what a newer one may have begun`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, unknown)), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(order)])
        #expect(core.orders[order.id]?.failure == nil)
    }

    @Test func `a controller counts a move with an unknown step as long as its source sends samples`() {
        var core = inControl(Policy())
        _ = core.handle(.order(.migrate(order: order)))
        _ = core.handle(.report(report("h1", 2, unknown), at: .second(9)))
        _ = core.handle(.sample(LoadSample(host: h1, at: .second(990)), at: .second(990)))
        #expect(core.snapshot(at: .second(1000)).movesInFlight.count == 1)
    }

    @Test func `an order with an unknown step does not expire, but its silent source is reported`() {
        var core = inControl(Policy(mode: .manual))
        _ = core.handle(.order(.migrate(order: order)))
        _ = core.handle(.report(report("h1", 2, unknown), at: .second(9)))
        let effects = core.handle(.tick(at: .second(1000), identifier: "d"))
        let news = effects.compactMap { if case .announce(let news) = $0 { news } else { nil } }
        let isSilent = news.contains { if case .sourceSilent = $0 { true } else { false } }
        let isExpired = news.contains { if case .expired = $0 { true } else { false } }
        #expect(isSilent && !isExpired)
        #expect(core.snapshot(at: .second(1000)).pastMoves.isEmpty)
    }

    @Test func `a doubt about an order with an unknown step gives way to the place of its VM`() {
        var state = OrderState(order)
        state.apply(report("h1", 2, unknown))
        let doubt = OrderFailure(.inDoubt, .other("no answer"), .unknown)
        let found = OrderFailure(.interrupted, .other("it is here"), .at(h1))
        for failure in [doubt, found] {
            let isChanged = state.apply(report("h1", 3, .failed(failure: failure)))
            #expect(isChanged && state.failure == failure)
        }
    }
}
