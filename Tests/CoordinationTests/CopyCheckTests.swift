// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// A target that runs a copy of a VM although its source has reported that the VM stayed there.
struct CopyCheckTests {
    private let failed = OrderStep.failed(failure: OrderFailure(.migration, .move(.pathLost(detail: "EOF")), .at(h1)))

    /// Returns the target's agent, which has read the end of the move at second 10 while its copy was here.
    private func target(
        _ end: OrderStep? = nil,
        mutations: Set<Mutation> = [],
        isInHistory: Bool = false
    ) -> AgentCore {
        var core = AgentCore(host: h2)
        core.mutations = mutations
        if !isInHistory { _ = core.handle(.caughtUp, at: .second(0)) }
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        for step in [.running(progress: progress), end ?? failed] {
            _ = core.handle(.report(report("h1", 10, step)), at: .second(10))
        }
        if isInHistory { _ = core.handle(.caughtUp, at: .second(11)) }
        _ = core.handle(.known([order.vm]), at: .second(12))
        return core
    }

    /// Plays a look of the check; returns its effects.
    private func look(
        _ core: inout AgentCore,
        _ presence: DomainPresence = .running,
        at second: Int
    ) -> [AgentCore.Effect] {
        #expect(core.handle(.tick, at: .second(second)).contains(.look(order)))
        return core.handle(.looked(order.id, .seen(presence)), at: .second(second))
    }

    private func ask(_ core: inout AgentCore, at second: Int) -> [AgentCore.Effect] {
        let question = PresenceQuestion(vm: order.vm, target: h2, here: .running)
        return core.handle(.report(report("h1", second, .asked(question: question))), at: .second(second))
    }

    private func alert(in effects: [AgentCore.Effect]) -> OrderFailure? {
        for case .announce(.duplicate(order.id, vm: "vm1", let failure)) in effects { return failure }
        return nil
    }

    @Test func `a target whose source does not ask pauses its copy once, and reports it`() throws {
        var core = target()
        #expect(look(&core, at: 13).isEmpty && core.needsTicks, "the source may ask")
        #expect(look(&core, at: 50) == [.apply(.pause, order)])
        let found = try #require(alert(in: core.handle(.applied(order.id, .done), at: .second(51))))
        #expect(found.reason.code == "duplicate-paused-at-target" && found.whereabouts == .at(h1))
        #expect(!core.needsTicks)
        // An operator has resumed it.
        _ = core.handle(.known([order.vm]), at: .second(60))
        #expect(!core.needsTicks)
    }

    @Test func `a target that has answered that it runs the VM leaves the pause to the source`() throws {
        var core = target()
        #expect(ask(&core, at: 13).contains(.locate(order.id, order.vm)))
        _ = core.handle(.located(order.id, .seen(.running)), at: .second(14))
        #expect(look(&core, at: 50).isEmpty)
        let found = try #require(alert(in: look(&core, at: 90)))
        #expect(found.reason.code == "may-run-on-both" && found.whereabouts == .unknown)
        #expect(look(&core, at: 5000).isEmpty, "one alert")
    }

    @Test func `nothing is paused while an answer is under way, and no answer is given during a pause`() {
        var core = target()
        _ = ask(&core, at: 13)
        #expect(look(&core, at: 50).isEmpty, "the copy is being looked at")
        core = target()
        #expect(look(&core, at: 50) == [.apply(.pause, order)])
        #expect(ask(&core, at: 51).contains(.locate(order.id, order.vm)))
        #expect(core.handle(.located(order.id, .seen(.running)), at: .second(51)).isEmpty)
        _ = core.handle(.applied(order.id, .done), at: .second(52))
        #expect(core.handle(.tick, at: .second(55)).contains(.locate(order.id, order.vm)))
        let answer = OrderStep.answered(presence: .paused, question: .second(51))
        let effects = core.handle(.located(order.id, .seen(.paused)), at: .second(55))
        #expect(effects == [.append(report("h2", 55, answer))])
    }

    @Test func `a host that is pausing its copy objects to another host's use of the VM`() {
        var core = target()
        #expect(look(&core, at: 50) == [.apply(.pause, order)])
        // The source of another order asks all hosts, and does not wait for this one.
        let question = PresenceQuestion(vm: order.vm, target: HostName("h4"), here: .pausedByMigration)
        var asked = report("h3", 51, .asked(question: question))
        asked.order = OrderID("o2")
        #expect(core.handle(.report(asked), at: .second(51)).contains(.locate(asked.order, order.vm)))
        // Not "running": the other host could pause its copy, too.
        var answer = report("h2", 51, .answered(presence: .paused, question: .second(51)))
        answer.order = asked.order
        #expect(core.handle(.located(asked.order, .seen(.running)), at: .second(51)) == [.append(answer)])
    }

    @Test func `a pause that is refused is reported and tried again`() throws {
        var core = target()
        #expect(look(&core, at: 50) == [.apply(.pause, order)])
        let refused = core.handle(.applied(order.id, .refused("a job is under way")), at: .second(51))
        #expect(alert(in: refused)?.reason.code == "duplicate-runs")
        #expect(look(&core, at: 53) == [.apply(.pause, order)])
        let done = core.handle(.applied(order.id, .done), at: .second(54))
        #expect(alert(in: done)?.reason.code == "duplicate-paused-at-target")
    }

    @Test func `a copy that came after the end, or that an operator may have moved here, runs on`() throws {
        var core = target()
        _ = core.handle(.known([]), at: .second(17))
        _ = core.handle(.known([order.vm]), at: .second(22))
        #expect(core.handle(.tick, at: .second(60)) == [] && !core.needsTicks)
        core = target(isInHistory: true)
        #expect(look(&core, at: 50).isEmpty)
        let found = try #require(alert(in: look(&core, at: 90)))
        #expect(found.reason.code == "may-run-on-both")
    }

    @Test(arguments: [DomainPresence.pausedByMigration, .absent, .inactive, .paused])
    func `a copy that does not run is left to libvirt`(_ presence: DomainPresence) {
        var core = target()
        for second in [13, 50] where core.needsTicks { #expect(look(&core, presence, at: second).isEmpty) }
        #expect(core.needsTicks == (presence == .pausedByMigration))
    }

    @Test func `a copy is paused at once if the source cannot pause its own, or a record states that it has the VM`() {
        let both = FailureReason.Finding.duplicateRuns(vm: "vm1", source: h1, target: h2, detail: "busy")
        let failure = OrderFailure(.inDoubt, .inquiry(.answerLost(detail: "EOF"), both), .unknown)
        var core = target(.failed(failure: failure))
        #expect(look(&core, at: 13) == [.apply(.pause, order)])
        core = target()
        let end = OrderRecord.end(id: order.id, on: h1, at: .second(100), reason: "checked")
        _ = core.handle(.order(end), at: .second(12))
        #expect(look(&core, at: 13) == [.apply(.pause, order)])
    }

    @Test func `a copy is paused at once if a newer move between other hosts has begun`() {
        var core = target()
        var newer = order
        (newer.id, newer.target) = (OrderID("o2"), HostName("h3"))
        _ = core.handle(.order(.migrate(order: newer)), at: .second(14))
        var running = report("h1", 15, .running(progress: begin))
        running.order = newer.id
        #expect(look(&core, at: 14).isEmpty, "it has not begun")
        _ = core.handle(.report(running), at: .second(15))
        #expect(look(&core, at: 17) == [.apply(.pause, order)])
    }

    @Test func `a VM that has moved, or that moves, runs on`() {
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        for end in [done, .running(progress: progress)] {
            var core = target(end)
            #expect(!core.handle(.tick, at: .second(50)).contains(.look(order)))
        }
    }

    @Test func `only a copy that the move brought is ever paused`() {
        for place in RecordedPlace.allCases {
            for origin in TargetCopy.Origin.allCases where origin != .move {
                for hasAnswered in [false, true] {
                    let decision = CopyDecision(place, origin, hasAnswered: hasAnswered)
                    #expect(decision == .keep || decision == .alert, "\(place), \(origin)")
                }
            }
            let answered = CopyDecision(place, .move, hasAnswered: true)
            #expect(answered != .pause, "\(place): the source may have paused its copy")
            #expect(answered != .pauseUnlessAsked)
        }
    }

    @Test func `an agent that keeps its copies is not checked`() {
        var core = target(mutations: [.keepsCopies])
        #expect(core.handle(.tick, at: .second(50)).isEmpty)
    }
}
