// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A VM that was started at its source while its definition was on its way to the target.
extension OfflineTests {
    @Test func `the target removes its definition once the source reports that the VM was started`() throws {
        var core = prepared()
        _ = core.handle(.report(report("h1", 5, .running(progress: begin))), at: .second(5))
        let failed = OrderStep.failed(failure: definedThere)
        #expect(core.handle(.report(report("h1", 8, failed)), at: .second(8)).contains(.apply(.withdraw, offline)))
        #expect(core.handle(.tick, at: .second(9)).isEmpty, "it is being removed")
        // libvirt is out.
        _ = core.handle(.applied(offline.id, .failed("libvirt is out")), at: .second(10))
        #expect(core.needsTicks)
        #expect(core.handle(.tick, at: .second(15)).isEmpty)
        #expect(core.handle(.tick, at: .second(20)) == [.apply(.withdraw, offline)])
        _ = core.handle(.applied(offline.id, .done), at: .second(21))
        #expect(core.handle(.tick, at: .second(60)).isEmpty && !core.needsTicks)
    }

    @Test func `the target removes nothing after another failure, or without its consent`() {
        for (failure, consented) in [
            (OrderFailure(.migration, .inquiry(.moveFailed, .stayed(vm: "vm1", source: h1)), .at(h1)), true),
            (definedThere, false),
        ] {
            var core = consented ? prepared() : AgentCore(host: h2)
            _ = core.handle(.caughtUp, at: .second(4))
            _ = core.handle(.order(.migrate(order: offline)), at: .second(4))
            _ = core.handle(.report(report("h1", 5, .running(progress: begin))), at: .second(5))
            let effects = core.handle(.report(report("h1", 8, .failed(failure: failure))), at: .second(8))
            #expect(!effects.contains(.apply(.withdraw, offline)))
        }
    }

    @Test func `a definition found after the failure is reported, and asked about until it is gone`() {
        var core = migrating()
        let failed = OrderFailure(.migration, .other("no answer"), .at(h1))
        _ = core.handle(.migrationEnded(offline.id, .failure(failed)), at: .second(9))
        _ = core.handle(.appended(.written), at: .second(9))
        #expect(core.handle(.tick, at: .second(10)) == [.look(offline)])
        _ = decide(&core, .running, .inactive, at: 10)
        #expect(core.orders[offline.id]?.failure?.reason.code == "defined-there", "the target must learn of it")
        _ = core.handle(.appended(.written), at: .second(11))
        #expect(core.handle(.tick, at: .second(20)) == [.look(offline)])
        #expect(decide(&core, .running, .inactive, at: 20).isEmpty, "reported once")
        #expect(core.handle(.tick, at: .second(30)) == [.look(offline)])
        #expect(decide(&core, .running, .absent, at: 30).isEmpty && !core.needsTicks)
    }

    /// Otherwise a source whose VM was shut off meanwhile would remove its own definition, too.
    @Test func `a definition that is being removed is not stated to a source without an active copy`() {
        for here in [DomainPresence.inactive, .absent, .running] {
            var core = AgentCore(host: h2)
            _ = core.handle(.order(.migrate(order: offline)), at: .second(20))
            for step in [
                report("h2", 3, .prepared()), report("h1", 5, .running(progress: begin)),
                report("h1", 8, .failed(failure: definedThere)),
                report("h1", 19, .asked(question: PresenceQuestion(vm: offline.vm, target: h2, here: here))),
            ] { _ = core.handle(.report(step), at: .second(20)) }
            let effects = core.handle(.caughtUp, at: .second(20))
            #expect(isWithdrawn(effects) && effects.contains(.locate(offline.id, offline.vm)))
            _ = core.handle(.applied(offline.id, .failed("libvirt is out")), at: .second(21))
            // This look began before the withdrawal.
            let again = core.handle(.located(offline.id, .seen(.inactive), isPersistent: true), at: .second(21))
            #expect(again == [.locate(offline.id, offline.vm)])
            let answer = core.handle(.located(offline.id, .seen(.inactive), isPersistent: true), at: .second(24))
            #expect(answer.isEmpty == (here != .running), "\(answer)")
            guard here != .running else { continue }
            // Other states are safe to say, and so is the end.
            _ = core.handle(.tick, at: .second(27))
            let gone = core.handle(.located(offline.id, .seen(.absent), isPersistent: nil), at: .second(27))
            #expect(gone == [.append(report("h2", 27, .answered(presence: .absent, question: .second(19))))])
        }
    }

    @Test func `a look that began before a withdrawal answers nothing`() {
        var core = prepared()
        _ = core.handle(.report(report("h1", 5, .running(progress: begin))), at: .second(5))
        let question = OrderStep.asked(question: PresenceQuestion(vm: offline.vm, target: h2, here: .inactive))
        #expect(core.handle(.report(report("h1", 7, question)), at: .second(7)) == [.locate(offline.id, offline.vm)])
        _ = core.handle(.report(report("h1", 8, .failed(failure: definedThere))), at: .second(8))
        _ = core.handle(.applied(offline.id, .done), at: .second(9))
        #expect(
            core.handle(.located(offline.id, .seen(.inactive), isPersistent: true), at: .second(10)) == [
                .locate(offline.id, offline.vm)
            ]
        )
        let answer = core.handle(.located(offline.id, .seen(.absent), isPersistent: nil), at: .second(11))
        #expect(answer == [.append(report("h2", 11, .answered(presence: .absent, question: .second(7))))])
    }

    private func isWithdrawn(_ effects: [AgentCore.Effect]) -> Bool { effects.contains(.apply(.withdraw, offline)) }

    /// Returns a target that was away when its move failed, and comes back after this time; the source did not hear of it.
    private func returned(after seconds: Int, newestRecord: Int? = nil) -> AgentCore {
        var core = AgentCore(host: h2)
        _ = core.handle(.order(.migrate(order: offline)), at: .second(seconds))
        _ = core.handle(.report(report("h2", 3, .prepared())), at: .second(seconds))
        let stayed = FailureReason.Finding.stayedUnasked(vm: "vm1", source: h1, target: h2, detail: "no answer")
        let failure = OrderFailure(.migration, .inquiry(.answerLost(detail: "cut off"), stayed), .at(h1))
        for step in [.running(progress: begin), .failed(failure: failure)] as [OrderStep] {
            _ = core.handle(.report(report("h1", 8, step)), at: .second(seconds))
        }
        // The newest record shows how much time has passed.
        var ofOthers = offline
        (ofOthers.id, ofOthers.source, ofOthers.target) = (OrderID("others"), HostName("h8"), HostName("h9"))
        (ofOthers.vm, ofOthers.issuedAt) = (VMID("others"), .second(newestRecord ?? seconds))
        _ = core.handle(.order(.migrate(order: ofOthers)), at: .second(seconds))
        _ = core.handle(.caughtUp, at: .second(seconds))
        _ = core.handle(.tick, at: .second(seconds + 1))
        return core
    }

    @Test(arguments: [20, 7200, 200_000])
    func `a target that was away removes the definition when the source has found it`(away: Int) {
        var core = returned(after: away)
        let found = report("h1", away + 60, .failed(failure: definedThere))
        #expect(isWithdrawn(core.handle(.report(found), at: .second(away + 60))))
    }

    @Test func `a failed offline move is forgotten a day after its end`() {
        var core = returned(after: 7200)
        _ = core.handle(.tick, at: .second(80_000))
        #expect(core.orders[offline.id] != nil)
        var later = report("h3", 200_000, .running(progress: begin))
        later.order = OrderID("others")
        _ = core.handle(.report(later), at: .second(200_000))
        _ = core.handle(.tick, at: .second(200_000))
        #expect(core.orders[offline.id] == nil)
    }

    @Test(arguments: [(7200, 7200, true), (200_000, 7200, true), (200_000, 200_000, false)])
    func `the age of a failure is measured by the ledger, not by a clock that is ahead`(
        at: Int,
        newestRecord: Int,
        isRecent: Bool
    ) {
        var core = returned(after: at, newestRecord: newestRecord)
        // An earlier incarnation of the source has reported it.
        let found = report("h1", 100, .failed(failure: definedThere))
        #expect(isWithdrawn(core.handle(.report(found), at: .second(at + 60))) == isRecent)
        #expect(core.needsTicks == isRecent)
    }

    @Test func `a definition that cannot be removed raises an alert, and is not tried again`() {
        var core = prepared()
        _ = core.handle(.report(report("h1", 5, .running(progress: begin))), at: .second(5))
        let found = report("h1", 8, .failed(failure: definedThere))
        #expect(isWithdrawn(core.handle(.report(found), at: .second(8))))
        let effects = core.handle(.applied(offline.id, .refused("it has snapshots")), at: .second(9))
        let alert = AgentCore.Announcement.definitionNotRemoved(
            offline.id,
            vm: "vm1",
            on: h2,
            detail: "it has snapshots"
        )
        #expect(effects == [.announce(alert)])
        #expect(alert.text.contains("it has snapshots") && alert.text.contains("virsh undefine"))
        #expect(!isWithdrawn(core.handle(.tick, at: .second(60))) && !core.needsTicks)
    }

    @Test func `the source asks for a limited time whether the definition is gone, and then raises an alert`() {
        var core = migrating()
        loseAnswer(&core, at: 9)
        _ = decide(&core, .running, .inactive, at: 10)
        _ = core.handle(.appended(.written), at: .second(10))
        var effects: [AgentCore.Effect] = []
        var second = 20
        while core.needsTicks, second < 2000 {
            #expect(core.handle(.tick, at: .second(second)) == [.look(offline)])
            effects += decide(&core, .running, .inactive, at: second)
            second += 60
        }
        #expect(second == 740, "the answer at second 680 was the last")
        let alert = effects.last
        guard case .announce(.definitionNotRemoved(offline.id, vm: "vm1", on: h2, _)) = alert else {
            Issue.record("no alert: \(effects)")
            return
        }
        #expect(effects.count == 1 && core.orders[offline.id]?.failure?.reason.code == "defined-there")
    }

    @Test func `a target that is away in between has its full time when it is back`() {
        var core = migrating()
        loseAnswer(&core, at: 9)
        _ = decide(&core, .running, .inactive, at: 10)
        _ = core.handle(.appended(.written), at: .second(10))
        _ = core.handle(.tick, at: .second(20))
        _ = decide(&core, .running, .inactive, at: 20)
        // It does not answer the next question for an hour.
        #expect(core.handle(.tick, at: .second(30)) == [.look(offline)])
        ask(&core, .running, at: 30)
        #expect(core.handle(.tick, at: .second(60)) == [.look(offline)])
        #expect(core.handle(.looked(offline.id, .seen(.running)), at: .second(60)).isEmpty)
        let answer = OrderStep.answered(presence: .inactive, question: .second(30))
        #expect(core.handle(.report(report("h2", 3600, answer)), at: .second(3600)) == [.look(offline)])
        #expect(core.handle(.looked(offline.id, .seen(.running)), at: .second(3600)).isEmpty && core.needsTicks)
    }
}
