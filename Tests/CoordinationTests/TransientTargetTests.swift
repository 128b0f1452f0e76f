// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A VM that an operator has moved manually without its definition: the source has the only one.
struct TransientTargetTests {
    private let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
    private let failed = OrderFailure(.migration, .other("broken pipe"), .at(h1))

    /// Returns a source whose move has ended like this at second 9.
    private func ended(_ failure: OrderFailure, isTransient: Bool? = nil) -> AgentCore {
        var requirements = requirements
        requirements.isTransient = isTransient
        var core = migratingSource(with: requirements)
        _ = core.handle(.migrationEnded(order.id, .failure(failure)), at: .second(9))
        _ = core.handle(.looked(order.id, .silent("busy")), at: .second(9))
        _ = core.handle(.appended(.written), at: .second(9))
        return core
    }

    /// Returns the source's agent after a restart, with these ends of the order in the ledger.
    private func restarted(_ ends: [OrderFailure]) -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        for step in [.running(progress: begin)] + ends.map({ OrderStep.failed(failure: $0) }) {
            _ = core.handle(.report(report("h1", 11, step)), at: .second(20))
        }
        _ = core.handle(.caughtUp, at: .second(20))
        return core
    }

    private func transientThere(_ doubt: FailureReason.Doubt, _ place: OrderFailure.Whereabouts) -> OrderFailure {
        OrderFailure(.inDoubt, .inquiry(doubt, .transientThere(vm: "vm1", source: h1, target: h2)), place)
    }

    @Test(arguments: [
        (DomainPresence.inactive, DomainPresence.running), (.inactive, .paused), (.pausedByMigration, .running),
    ])
    func `the definition here is kept, with a doubt, until the VM is defined there`(
        here: DomainPresence,
        there: DomainPresence
    ) {
        var core = ended(lost)
        let effects = round(&core, here: here, there: there, isPersistent: false, at: 11)
        #expect(!effects.contains(.apply(.discard, order)))
        let doubt = core.orders[order.id]?.failure
        #expect(doubt?.kind == .inDoubt && doubt?.whereabouts == .unknown && doubt?.reason.code == "transient-there")
        _ = core.handle(.appended(.written), at: .second(12))
        #expect(round(&core, here: here, there: there, isPersistent: false, at: 700).isEmpty, "reported once")
        let discard = round(&core, here: here, there: there, isPersistent: true, at: 1400)
        #expect(discard == [.apply(.discard, order)])
        _ = core.handle(.applied(order.id, .done), at: .second(1401))
        #expect(core.orders[order.id]?.stage == .done)
    }

    @Test(arguments: [true, nil]) func `the definition goes if the VM is persistent there, or its agent is older`(
        isPersistent: Bool?
    ) {
        var core = ended(lost)
        let effects = round(&core, here: .inactive, there: .running, isPersistent: isPersistent, at: 11)
        #expect(effects == [.apply(.discard, order)])
    }

    @Test func `without anything here there is nothing to keep`() {
        var core = ended(lost)
        let effects = round(&core, here: .absent, there: .running, isPersistent: false, at: 11)
        #expect(effects == [.apply(.discard, order)])
    }

    @Test func `a paused copy is not resumed when the transient VM has stopped there`() {
        for ends in [[transientThere(.agentRestarted, .unknown)], [failed, transientThere(.moveFailed, .at(h2))]] {
            var core = restarted(ends)
            #expect(round(&core, here: .pausedByMigration, there: .absent, at: 21).isEmpty)
            #expect(core.handle(.tick, at: .second(30)).isEmpty)
        }
    }

    @Test func `a VM that has stopped there is off here, where its definition is`() {
        var core = restarted([transientThere(.agentRestarted, .unknown)])
        #expect(round(&core, here: .inactive, there: .absent, at: 21).isEmpty, "others may object")
        #expect(core.handle(.tick, at: .second(24)) == [.look(order)])
        _ = core.handle(.looked(order.id, .seen(.inactive)), at: .second(24))
        let end = core.orders[order.id]?.failure
        #expect(end?.reason.code == "stayed-off" && end?.whereabouts == .at(h1))
    }

    @Test func `after a failed move the end is corrected, with an alert`() {
        var core = ended(failed)
        let effects = round(&core, here: .inactive, there: .running, isPersistent: false, at: 11)
        #expect(!effects.contains(.apply(.discard, order)))
        #expect(effects.contains { if case .announce(.duplicate) = $0 { true } else { false } })
        #expect(core.orders[order.id]?.failure == transientThere(.moveFailed, .at(h2)))
        _ = core.handle(.appended(.written), at: .second(12))
        #expect(round(&core, here: .inactive, there: .running, isPersistent: false, at: 700).isEmpty, "reported once")
    }

    @Test func `after a failed move the search goes on until the VM is defined there`() {
        var core = ended(failed)
        _ = round(&core, here: .inactive, there: .running, isPersistent: false, at: 11)
        _ = core.handle(.appended(.written), at: .second(12))
        #expect(
            round(&core, here: .inactive, there: .running, isPersistent: true, at: 700) == [.apply(.discard, order)]
        )
        _ = core.handle(.applied(order.id, .done), at: .second(701))
        let end = core.orders[order.id]?.failure
        #expect(end?.reason.code == "found-there" && end?.whereabouts == .at(h2))
    }

    @Test func `after a failed move the end is corrected again if the VM has stopped there`() {
        var core = ended(failed)
        _ = round(&core, here: .inactive, there: .running, isPersistent: false, at: 11)
        _ = core.handle(.appended(.written), at: .second(12))
        _ = round(&core, here: .inactive, there: .absent, at: 700)
        #expect(core.handle(.tick, at: .second(703)) == [.look(order)])
        _ = core.handle(.looked(order.id, .seen(.inactive)), at: .second(703))
        let end = core.orders[order.id]?.failure
        #expect(end?.reason.code == "stayed-off" && end?.whereabouts == .at(h1))
    }

    @Test func `a transient VM that is suspended there is still the VM`() {
        var core = ended(failed)
        _ = round(&core, here: .inactive, there: .running, isPersistent: false, at: 11)
        _ = core.handle(.appended(.written), at: .second(12))
        #expect(round(&core, here: .inactive, there: .paused, isPersistent: false, at: 700).isEmpty)
        #expect(core.needsTicks, "the search goes on")
        #expect(
            round(&core, here: .inactive, there: .paused, isPersistent: true, at: 1400) == [.apply(.discard, order)]
        )
    }

    @Test func `a record does not make a paused copy newer than the transient VM that has stopped there`() {
        var core = restarted([transientThere(.agentRestarted, .unknown)])
        _ = core.handle(.order(.end(id: order.id, on: h1, at: .second(30), reason: "gone")), at: .second(30))
        #expect(core.orders[order.id]?.failure?.whereabouts == .at(h1))
        #expect(round(&core, here: .pausedByMigration, there: .absent, at: 31).isEmpty)
        #expect(core.handle(.tick, at: .second(42)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(42)).isEmpty, "not resumed")
    }

    @Test func `a newer report that the VM is there wins over a record that it is here`() {
        var target = AgentCore(host: h2)
        _ = target.handle(.order(.migrate(order: order)), at: .second(20))
        for step in [report("h2", 3, .prepared()), report("h1", 5, .running(progress: begin))] {
            _ = target.handle(.report(step), at: .second(20))
        }
        _ = target.handle(.order(.end(id: order.id, on: h1, at: .second(20), reason: "lost")), at: .second(20))
        let found = OrderStep.failed(failure: transientThere(.moveFailed, .at(h2)))
        for step in [OrderStep.failed(failure: failed), found] {
            _ = target.handle(.report(report("h1", 25, step)), at: .second(25))
        }
        #expect(target.orders[order.id]?.failure?.whereabouts == .at(h2))
    }

    @Test func `the end is not corrected after another reason at the target`() {
        let paused = FailureReason.Finding.duplicatePaused(vm: "vm1", source: h1, target: h2)
        var core = restarted([failed, OrderFailure(.inDoubt, .inquiry(.moveFailed, paused), .at(h2))])
        #expect(round(&core, here: .paused, there: .absent, at: 21).isEmpty)
        #expect(!core.needsTicks)
    }

    @Test func `a VM that was transient here, too, leaves its copy for the one there`() {
        var core = ended(lost, isTransient: true)
        let effects = round(&core, here: .pausedByMigration, there: .running, isPersistent: false, at: 11)
        #expect(effects == [.apply(.discard, order)])
    }

    @Test func `a definition that is back here after a move is kept, with one alert`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        for step in [.running(progress: progress), done] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        _ = core.handle(.caughtUp, at: .second(20))
        _ = core.handle(.known([order.vm]), at: .second(30))
        let effects = round(&core, here: .inactive, there: .running, isPersistent: false, at: 31)
        #expect(effects.count == 1)
        #expect(effects.contains { if case .announce(.returned) = $0 { true } else { false } })
        #expect(round(&core, here: .inactive, there: .running, isPersistent: false, at: 40).isEmpty)
        let discard = round(&core, here: .inactive, there: .running, isPersistent: true, at: 50)
        #expect(discard == [.apply(.discard, order)])
    }
}
