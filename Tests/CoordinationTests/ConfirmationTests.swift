// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// The target's confirmation that the definition of a VM that has moved is on its disk.
struct ConfirmationTests {
    private let question = PresenceQuestion(vm: order.vm, target: h2, here: .absent, wantsDurable: true)
    private let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)

    /// Returns a source that migrates.
    private func migrating(confirms: Bool? = true) -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        var consent = report("h2", 3, .prepared())
        consent.confirmsDefinition = confirms
        _ = core.handle(.report(consent), at: .second(4))
        _ = core.handle(.appended(.written), at: .second(4))
        return core
    }

    /// Returns a source whose move has succeeded at second 9, and that has written its question.
    private func asking() -> AgentCore {
        var core = migrating()
        let asked = core.handle(.migrationEnded(order.id, .success(completion)), at: .second(9))
        #expect(asked == [.append(report("h1", 9, .asked(question: question)))])
        _ = core.handle(.appended(.written), at: .second(9))
        return core
    }

    private func answer(_ presence: DomainPresence, to second: Int = 9, at: Int = 11) -> AgentCore.Event.Kind {
        .report(report("h2", at, .answered(presence: presence, question: .second(second))))
    }

    @Test(arguments: [DomainPresence.running, .inactive, .paused])
    func `the order is done once the target has confirmed the definition`(presence: DomainPresence) {
        var core = asking()
        #expect(core.handle(.tick, at: .second(10)).isEmpty)
        #expect(core.orders[order.id]?.stage == .running)
        #expect(core.handle(answer(presence), at: .second(11)) == [.append(report("h1", 11, done))])
        _ = core.handle(.appended(.written), at: .second(11))
        #expect(core.handle(.tick, at: .second(40)).isEmpty)
    }

    @Test func `a target of an earlier version is not waited for`() {
        var core = migrating(confirms: nil)
        let effects = core.handle(.migrationEnded(order.id, .success(completion)), at: .second(9))
        #expect(effects == [.append(report("h1", 9, done))])
    }

    @Test func `without a confirmation the order is done after a limited time, with an alert`() {
        var core = asking()
        var effects: [AgentCore.Effect] = []
        for second in 10...31 {
            effects += core.handle(.tick, at: .second(second))
            effects += core.handle(.appended(.written), at: .second(second))
        }
        let asked = [14, 19, 24, 29].map { AgentCore.Effect.append(report("h1", $0, .asked(question: question))) }
        #expect(effects.filter(asked.contains).count == 4, "it asks again")
        #expect(effects.contains(.append(report("h1", 30, done))))
        let alert = AgentCore.Announcement.definitionNotConfirmed(order.id, vm: order.vmName, target: h2)
        #expect(effects.filter { $0 == .announce(alert) }.count == 1)
        #expect(alert.text.contains("evenkeel definitions restore \(order.vmName)"))
    }

    @Test func `a target where the VM is transient confirms no definition`() {
        var core = asking()
        let answer = OrderStep.answered(presence: .running, question: .second(9), isPersistent: false)
        #expect(core.handle(.report(report("h2", 11, answer)), at: .second(11)).isEmpty)
        #expect(core.orders[order.id]?.stage == .running)
    }

    @Test func `an answer to an earlier question, of another host, or that the VM is not there confirms nothing`() {
        var core = asking()
        #expect(core.handle(answer(.running, to: 8), at: .second(11)).isEmpty)
        #expect(core.handle(answer(.absent), at: .second(11)).isEmpty)
        let foreign = report("h3", 11, .answered(presence: .running, question: .second(9)))
        #expect(core.handle(.report(foreign), at: .second(11)).isEmpty)
        #expect(core.orders[order.id]?.stage == .running)
    }

    @Test func `a cancellation that comes after the move cancels nothing`() {
        var core = asking()
        let cancel = OrderRecord.cancel(id: order.id, at: .second(10), reason: "not now")
        #expect(core.handle(.order(cancel), at: .second(10)).isEmpty)
        #expect(core.handle(answer(.running), at: .second(11)) == [.append(report("h1", 11, done))])
    }

    @Test func `an order that an operator has ended meanwhile is reported all the same`() {
        var core = asking()
        let end = OrderRecord.end(id: order.id, on: h2, at: .second(10), reason: "seen there")
        _ = core.handle(.order(end), at: .second(10))
        #expect(core.needsTicks)
        #expect(core.handle(answer(.running), at: .second(11)).contains(.append(report("h1", 11, done))))
    }

    @Test func `a step of the clock neither ends nor extends the wait`() {
        var core = asking()
        _ = core.handle(.tick, at: .second(10), uptime: .seconds(10))
        #expect(core.handle(.tick, at: .second(5000), uptime: .seconds(11)).isEmpty)
        #expect(core.handle(answer(.running, at: 5001), at: .second(5001)) == [.append(report("h1", 5001, done))])
    }

    @Test func `a VM whose move's end was not seen is confirmed, too`() {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .move(.hypervisor(detail: "EOF")), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        _ = core.handle(.looked(order.id, .seen(.absent)), at: .second(10))
        _ = core.handle(.appended(.written), at: .second(10))
        #expect(core.handle(answer(.running, to: 10), at: .second(11)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.absent)), at: .second(11)) == [.apply(.discard, order)])
        let found = core.handle(.applied(order.id, .done), at: .second(11))
        #expect(found == [.append(report("h1", 11, .asked(question: question)))])
    }

    // MARK: the target

    /// Returns a target that has consented to take the VM.
    private func target(consents: Bool = true) -> AgentCore {
        var core = AgentCore(host: h2)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 2, .accepted(requirements: requirements))), at: .second(2))
        guard consents else { return core }
        _ = core.handle(.targetChecked(order.id, []), at: .second(3))
        _ = core.handle(.appended(.written), at: .second(3))
        return core
    }

    @Test func `the target makes the definition durable before it answers`() {
        var core = target()
        let asked = report("h1", 9, .asked(question: question))
        #expect(core.handle(.report(asked), at: .second(10)) == [.confirm(order.id, order.vm)])
        let said = core.handle(.located(order.id, .seen(.running)), at: .second(11))
        #expect(said == [.append(report("h2", 11, .answered(presence: .running, question: .second(9))))])
    }

    @Test(arguments: [CopyObservation.silent("cannot sync"), .seen(.absent)])
    func `a target that cannot confirm is silent, and drops the question`(found: CopyObservation) {
        var core = target()
        _ = core.handle(.report(report("h1", 9, .asked(question: question))), at: .second(10))
        #expect(core.handle(.located(order.id, found), at: .second(11)).isEmpty)
        #expect(core.handle(.tick, at: .second(20)).isEmpty)
    }

    @Test func `no other host is asked to confirm`() {
        var unasked = target(consents: false)
        let asked = report("h1", 9, .asked(question: question))
        #expect(!unasked.handle(.report(asked), at: .second(10)).contains(.confirm(order.id, order.vm)))
        var core = AgentCore(host: HostName("h3"))
        _ = core.handle(.caughtUp, at: .second(0))
        #expect(core.handle(.report(report("h1", 9, .asked(question: question))), at: .second(10)).isEmpty)
    }
}
