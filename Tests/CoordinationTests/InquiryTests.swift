// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A source that does not know where its VM is.
struct InquiryTests {
    @Test func `after a lost answer the agent looks here, asks the target, and looks again`() throws {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        #expect(core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9)) == [.look(order)])
        ask(&core, .running, at: 10)
        answer(&core, .absent, to: 10, at: 11)
        let effects = core.handle(.looked(order.id, .seen(.running)), at: .second(11))
        let failure = try #require(end(in: effects))
        #expect(failure.kind == .migration && failure.whereabouts == .at(h1))
        #expect(failure.text == "the call was cut off; vm1 is on h1")
        _ = core.handle(.appended(.written), at: .second(12))
        #expect(!core.needsTicks)
    }

    @Test func `a copy that has changed since the question is asked about again`() {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        ask(&core, .pausedByMigration, at: 10)
        answer(&core, .absent, to: 10, at: 11)
        ask(&core, .running, at: 11)
        #expect(core.handle(.report(report("h2", 12, answered(.absent, 10))), at: .second(12)).isEmpty, "it is old")
        answer(&core, .running, to: 11, at: 13)
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(13)) == [.apply(.pause, order)])
    }

    @Test func `a paused copy is resumed only if no other host has the VM`() throws {
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        for objects in [false, true] {
            var core = migrating()
            _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
            ask(&core, .pausedByMigration, at: 10)
            answer(&core, .absent, to: 10, at: 11)
            #expect(
                core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(11)).isEmpty,
                "others may object"
            )
            if objects { _ = core.handle(.report(report("h3", 12, answered(.running, 10))), at: .second(12)) }
            #expect(core.handle(.tick, at: .second(14)) == [.look(order)])
            let effects = core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(14))
            guard objects else {
                #expect(effects == [.apply(.resume, order)], "a host that says nothing vetoes nothing")
                continue
            }
            let doubt = try #require(end(in: effects), "the operator learns of it at once")
            #expect(doubt.kind == .inDoubt && doubt.whereabouts == .unknown)
            #expect(doubt.reason.code == "copy-here-and-elsewhere" && doubt.text.contains("h3 claims to have vm1"))
            _ = core.handle(.appended(.written), at: .second(14))
            #expect(core.handle(.tick, at: .second(16)) == [.look(order)])
            ask(&core, .pausedByMigration, at: 16)
            // The claim is withdrawn.
            answer(&core, .absent, to: 16, at: 17)
            #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(17)).isEmpty)
            #expect(core.handle(.tick, at: .second(20)) == [.look(order)])
            let late = core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(20))
            #expect(late == [.apply(.resume, order)])
            let stayed = try #require(end(in: core.handle(.applied(order.id, .done), at: .second(21))))
            #expect(stayed.whereabouts == .at(h1) && core.orders[order.id]?.failure == stayed)
        }
    }

    /// Plays a round in which h2 has no copy and h3 claims to have the VM; returns the last effects.
    private func objection(_ core: inout AgentCore, _ here: DomainPresence, at second: Int) -> [AgentCore.Effect] {
        ask(&core, here, at: second)
        answer(&core, .absent, to: second, at: second + 1)
        _ = core.handle(.looked(order.id, .seen(here)), at: .second(second + 1))
        _ = core.handle(.report(report("h3", second + 1, answered(.running, second))), at: .second(second + 1))
        #expect(core.handle(.tick, at: .second(second + 4)) == [.look(order)])
        return core.handle(.looked(order.id, .seen(here)), at: .second(second + 4))
    }

    @Test func `a third host's claim is reported once, and counts until an operator rejects it`() throws {
        // An operator's statement counts for ten minutes.
        for (stated, read) in [(30, 40), (30, 640)] {
            var core = migrating()
            let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
            _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
            _ = try #require(end(in: objection(&core, .pausedByMigration, at: 10)))
            _ = core.handle(.appended(.written), at: .second(14))
            #expect(core.handle(.tick, at: .second(20)) == [.look(order)])
            #expect(objection(&core, .pausedByMigration, at: 20).isEmpty, "once")
            let statement = OrderRecord.end(id: order.id, on: h1, at: .second(stated), reason: "h3 lies")
            _ = core.handle(.order(statement), at: .second(read))
            #expect(core.handle(.tick, at: .second(read + 1)) == [.look(order)])
            let effects = objection(&core, .pausedByMigration, at: read + 1)
            guard read == 640 else {
                #expect(effects == [.apply(.resume, order)])
                #expect(core.handle(.applied(order.id, .done), at: .second(read + 6)).isEmpty && !core.needsTicks)
                continue
            }
            guard case .announce(.duplicate)? = effects.first else {
                Issue.record("no alert: \(effects)")
                continue
            }
            #expect(core.needsTicks, "it continues to ask")
        }
    }

    @Test func `a statement from before the claim does not reject it`() {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        let statement = OrderRecord.end(id: order.id, on: h1, at: .second(10), reason: "h2 burned down")
        _ = core.handle(.order(statement), at: .second(10))
        _ = core.handle(.looked(order.id, .silent("busy")), at: .second(10))
        #expect(core.handle(.tick, at: .second(12)) == [.look(order)])
        guard case .announce(.duplicate)? = objection(&core, .pausedByMigration, at: 12).first else {
            Issue.record("no alert")
            return
        }
    }

    @Test func `a VM that runs here stays without an answer, and the question stays open`() throws {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        ask(&core, .running, at: 10)
        #expect(core.handle(.tick, at: .second(26)) == [.look(order)])
        let failure = try #require(end(in: core.handle(.looked(order.id, .seen(.running)), at: .second(26))))
        #expect(failure.whereabouts == .at(h1) && failure.text.contains("whether h2 has a copy is unknown"))
        _ = core.handle(.appended(.written), at: .second(26))
        #expect(core.handle(.tick, at: .second(27)) == [.look(order)])
        ask(&core, .running, at: 27)
        for second in stride(from: 40, to: 600, by: 70) {
            #expect(core.handle(.tick, at: .second(second)) == [.look(order)])
            #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(second)).isEmpty, "asked once")
        }
        // The question may have been lost.
        #expect(core.handle(.tick, at: .second(640)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(640)).isEmpty)
        #expect(core.handle(.tick, at: .second(710)) == [.look(order)])
        ask(&core, .running, at: 710)
        // The target's agent returns, and its VM runs.
        answer(&core, .running, to: 710, at: 1000)
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(1000)) == [.apply(.pause, order)])
        let said = core.handle(.applied(order.id, .done), at: .second(1001))
        guard case .announce(let announcement)? = said.first else {
            Issue.record("no alert: \(said)")
            return
        }
        #expect(announcement.text.contains("two copies of vm1"))
        #expect(core.orders[order.id]?.failure?.whereabouts == .at(h2), "the end is corrected")
        _ = core.handle(.appended(.written), at: .second(1002))
        #expect(core.handle(.tick, at: .second(6000)).isEmpty && !core.needsTicks)
    }

    @Test func `a duplicate that cannot be paused is tried again`() {
        var core = migrating()
        let failed = OrderFailure(.migration, .other("broken pipe"), .at(h1))
        _ = core.handle(.migrationEnded(order.id, .failure(failed)), at: .second(9))
        _ = core.handle(.appended(.written), at: .second(9))
        #expect(core.handle(.tick, at: .second(10)) == [.look(order)])
        for second in [10, 30] {
            ask(&core, .running, at: second)
            answer(&core, .running, to: second, at: second + 1)
            let pause = core.handle(.looked(order.id, .seen(.running)), at: .second(second + 1))
            #expect(pause == [.apply(.pause, order)])
            let refused = core.handle(.applied(order.id, .refused("a job is under way")), at: .second(second + 2))
            #expect(refused.count == (second == 10 ? 1 : 0), "one alert")
            #expect(core.handle(.tick, at: .second(second + 20)) == [.look(order)])
        }
    }

    /// The memory here may be older than the disks: that the other copy is gone does not make it newer.
    @Test func `a copy whose memory may be old is never resumed, and an operator's choice is reported`() throws {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        ask(&core, .pausedByMigration, at: 10)
        answer(&core, .inactive, to: 10, at: 11)
        let doubt = try #require(
            end(in: core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(11)))
        )
        #expect(doubt.kind == .inDoubt && doubt.whereabouts == .unknown)
        _ = core.handle(.appended(.written), at: .second(12))
        for second in [20, 30] {
            #expect(core.handle(.tick, at: .second(second)) == [.look(order)])
            let effects = core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(second))
            #expect(effects.isEmpty, "it asks seldom")
        }
        // An operator removes the copy at the target.
        #expect(core.handle(.tick, at: .second(610)) == [.look(order)])
        ask(&core, .pausedByMigration, at: 610)
        answer(&core, .absent, to: 610, at: 611)
        #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(611)) == [])
        // Later the operator resumes the copy here, of which the agent asks at once.
        #expect(core.handle(.tick, at: .second(625)) == [.look(order)])
        ask(&core, .running, at: 625)
        answer(&core, .absent, to: 625, at: 626)
        let failure = try #require(end(in: core.handle(.looked(order.id, .seen(.running)), at: .second(626))))
        #expect(failure.whereabouts == .at(h1))
        #expect(core.orders[order.id]?.failure == failure, "the doubt is replaced")
    }

    /// Returns a source in a doubt that only an operator can settle, who has started a second copy there; the target has
    /// answered at second 21 that it runs the VM.
    private func startedBesideTheVM() -> AgentCore {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        ask(&core, .inactive, at: 10)
        answer(&core, .inactive, to: 10, at: 11)
        _ = core.handle(.looked(order.id, .seen(.inactive)), at: .second(11))
        _ = core.handle(.appended(.written), at: .second(12))
        #expect(core.handle(.tick, at: .second(20)) == [.look(order)])
        ask(&core, .running, at: 20)
        answer(&core, .running, to: 20, at: 21)
        return core
    }

    @Test func `a copy that an operator starts during a doubt is paused within seconds`() {
        var core = startedBesideTheVM()
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(21)) == [.apply(.pause, order)])
    }

    @Test func `a VM that has moved on to a third host is not taken for the one whose definition is left here`() {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        // The target moves it on, and the third host is silent when it is asked.
        var onward = order
        (onward.id, onward.source, onward.target) = (OrderID("o2"), h2, HostName("h3"))
        _ = core.handle(.order(.migrate(order: onward)), at: .second(9))
        let running = OrderReport(order: onward.id, host: h2, at: .second(9), step: .running(progress: begin))
        _ = core.handle(.report(running), at: .second(9))
        for here in [DomainPresence.inactive, .pausedByMigration] {
            var core = core
            ask(&core, here, at: 10)
            answer(&core, .absent, to: 10, at: 11)
            let effects = core.handle(.looked(order.id, .seen(here)), at: .second(11))
            let doubt = end(in: effects)
            #expect(doubt?.reason.code == "copy-here-and-elsewhere" && doubt?.text.contains("h3") == true, "\(effects)")
            _ = core.handle(.appended(.written), at: .second(12))
            #expect(core.handle(.tick, at: .second(30)) == [.look(order)])
            #expect(core.orders[order.id]?.failure == doubt)
        }
        // It has failed, and the VM is at the target, which answers for itself.
        let failure = OrderFailure(.migration, .other("broken pipe"), .at(h2))
        let end = OrderReport(order: onward.id, host: h2, at: .second(10), step: .failed(failure: failure))
        _ = core.handle(.report(end), at: .second(10))
        ask(&core, .pausedByMigration, at: 10)
        answer(&core, .absent, to: 10, at: 11)
        _ = core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(11))
        #expect(core.handle(.tick, at: .second(15)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(15)) == [.apply(.resume, order)])
    }

    @Test func `a passive search asks again at once after a look without an answer`() {
        var core = startedBesideTheVM()
        _ = core.handle(.looked(order.id, .silent("slow")), at: .second(21))
        #expect(core.handle(.tick, at: .second(31)) == [.look(order)])
        ask(&core, .running, at: 31)
    }

    @Test func `a VM that runs nowhere is searched for until it runs`() throws {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        ask(&core, .inactive, at: 10)
        answer(&core, .inactive, to: 10, at: 11)
        let doubt = try #require(end(in: core.handle(.looked(order.id, .seen(.inactive)), at: .second(11))))
        #expect(doubt.kind == .inDoubt && doubt.text.contains("runs"))
        _ = core.handle(.appended(.written), at: .second(12))
        // A restarted agent goes on.
        var restarted = AgentCore(host: h1)
        _ = restarted.handle(.order(.migrate(order: order)), at: .second(1))
        for step in [OrderStep.running(progress: begin), .failed(failure: doubt)] {
            _ = restarted.handle(.report(report("h1", 11, step)), at: .second(11))
        }
        #expect(restarted.handle(.caughtUp, at: .second(20)) == [])
        #expect(restarted.needsTicks)
        // An operator starts it at the target.
        #expect(core.handle(.tick, at: .second(700)) == [.look(order)])
        ask(&core, .inactive, at: 700)
        answer(&core, .running, to: 700, at: 701)
        #expect(core.handle(.looked(order.id, .seen(.inactive)), at: .second(701)) == [.apply(.discard, order)])
        _ = core.handle(.applied(order.id, .done), at: .second(702))
        #expect(core.orders[order.id]?.stage == .done)
    }

    @Test func `a search for a second copy ends when no copy is here`() {
        var core = migrating()
        let failed = OrderFailure(.migration, .other("broken pipe"), .at(h1))
        _ = core.handle(.migrationEnded(order.id, .failure(failed)), at: .second(9))
        _ = core.handle(.appended(.written), at: .second(9))
        #expect(core.handle(.tick, at: .second(10)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.absent)), at: .second(10)).isEmpty && !core.needsTicks)
    }

    /// The source's host was down, and the target's agent was silent.
    @Test func `a VM that is off is neither started nor left before the target has answered`() {
        for (there, action) in [(DomainPresence.running, CopyAction.discard), (.absent, .start)] {
            var core = migrating(startsWithHost: true)
            let failed = OrderFailure(.migration, .other("broken pipe"), .at(h1))
            _ = core.handle(.migrationEnded(order.id, .failure(failed)), at: .second(9))
            _ = core.handle(.appended(.written), at: .second(9))
            #expect(core.handle(.tick, at: .second(10)) == [.look(order)])
            ask(&core, .inactive, at: 10)
            #expect(core.handle(.tick, at: .second(26)) == [.look(order)])
            #expect(core.handle(.looked(order.id, .seen(.inactive)), at: .second(26)).isEmpty)
            answer(&core, there, to: 10, at: 30)
            var effects = core.handle(.looked(order.id, .seen(.inactive)), at: .second(30))
            if action == .start {
                #expect(effects.isEmpty, "others may object")
                #expect(core.handle(.tick, at: .second(34)) == [.look(order)])
                effects = core.handle(.looked(order.id, .seen(.inactive)), at: .second(34))
            }
            #expect(effects == [.apply(action, order)])
            let next = core.handle(.applied(order.id, .done), at: .second(35))
            if action == .start {
                #expect(next == [.startWithHost(order)])
            } else {
                #expect(core.orders[order.id]?.failure?.whereabouts == .at(h2), "the end is corrected")
                #expect(!next.contains(.startWithHost(order)))
            }
        }
    }

    @Test func `a copy is resumed after a long search, too`() {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        _ = core.handle(.looked(order.id, .silent("libvirt is out")), at: .second(10))
        // The doubt has been reported long ago, and the agent looks once a minute.
        #expect(core.handle(.tick, at: .second(700)) == [.look(order)])
        _ = core.handle(.looked(order.id, .silent("libvirt is out")), at: .second(700))
        _ = core.handle(.appended(.written), at: .second(700))
        #expect(core.handle(.tick, at: .second(760)) == [.look(order)])
        ask(&core, .pausedByMigration, at: 760)
        answer(&core, .absent, to: 760, at: 762)
        #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(762)).isEmpty)
        #expect(core.handle(.tick, at: .second(765)) == [.look(order)])
        let resume = core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(765))
        #expect(resume == [.apply(.resume, order)])
    }

    @Test func `an answer to an old question does not use the copy here`() {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        _ = core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9))
        ask(&core, .pausedByMigration, at: 10)
        answer(&core, .absent, to: 10, at: 300)
        #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(300)).isEmpty)
        #expect(core.handle(.tick, at: .second(311)) == [.look(order)])
        ask(&core, .pausedByMigration, at: 311)
    }

    @Test func `the controller's next order for a VM waits until its search is over`() throws {
        var core = migrating()
        let failed = OrderFailure(.migration, .other("broken pipe"), .at(h1))
        _ = core.handle(.migrationEnded(order.id, .failure(failed)), at: .second(9))
        _ = core.handle(.appended(.written), at: .second(9))
        var next = order
        (next.id, next.target) = (OrderID("o2"), HostName("h3"))
        let refused = try #require(end(in: core.handle(.order(.migrate(order: next)), at: .second(10))))
        #expect(refused.kind == .refused && refused.reason.code == "vm-searched")
        (next.id, next.issuer) = (OrderID("o3"), .operator)
        #expect(core.handle(.order(.migrate(order: next)), at: .second(11)).contains(.readRequirements(next)))
    }

    @Test func `a VM at the source counts as not moved only after the job lock's timeout`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(21)).isEmpty)
        #expect(core.handle(.tick, at: .second(54)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(54)).isEmpty)
        #expect(core.handle(.tick, at: .second(64)) == [.look(order)])
        ask(&core, .running, at: 64)
        answer(&core, .absent, to: 64, at: 65)
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(65)).count == 1, "now it counts")
    }

    @Test func `a clock that is set back delays nothing`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(2_000))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(2_000))
        #expect(core.handle(.caughtUp, at: .second(2_000)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .silent("libvirt is out")), at: .second(2_001)).isEmpty)
        #expect(core.handle(.tick, at: .second(100)).isEmpty)
        #expect(core.handle(.tick, at: .second(103)) == [.look(order)])
    }

    @Test func `reports are written one at a time and in order`() {
        var core = migrating()
        let first = core.handle(.progressed(order.id, progress), at: .second(10))
        #expect(first.count == 1)
        #expect(core.handle(.progressed(order.id, progress), at: .second(13)).isEmpty, "one is being written")
        #expect(core.handle(.progressed(order.id, progress), at: .second(16)).isEmpty)
        #expect(core.handle(.appended(.failed), at: .second(17)).isEmpty, "the ledger is out")
        #expect(core.handle(.tick, at: .second(18)).isEmpty)
        let failed = OrderFailure(.refused, .other("no"), .at(h1))
        #expect(core.handle(.migrationEnded(order.id, .failure(failed)), at: .second(18)).isEmpty)
        #expect(core.handle(.tick, at: .second(19)) == first, "it is tried again")
        let second = core.handle(.appended(.written), at: .second(19))
        #expect(second == [.append(report("h1", 16, .running(progress: progress)))], "older progress is dropped")
        #expect(
            core.handle(.appended(.written), at: .second(20)) == [.append(report("h1", 18, .failed(failure: failed)))]
        )
        #expect(core.handle(.appended(.written), at: .second(21)).isEmpty && !core.needsTicks)
    }

    /// Passes the state here, about which the core must ask now.
    private func ask(_ core: inout AgentCore, _ here: DomainPresence, at second: Int) {
        let question = PresenceQuestion(vm: order.vm, target: h2, here: here)
        #expect(
            core.handle(.looked(order.id, .seen(here)), at: .second(second))
                == [.append(report("h1", second, .asked(question: question)))]
        )
        _ = core.handle(.appended(.written), at: .second(second))
    }

    /// Passes the target's answer, after which the core must look here.
    private func answer(_ core: inout AgentCore, _ there: DomainPresence, to asked: Int, at second: Int) {
        let answer = report("h2", second, answered(there, asked))
        #expect(core.handle(.report(answer), at: .second(second)) == [.look(order)])
    }

    private func answered(_ presence: DomainPresence, _ asked: Int) -> OrderStep {
        .answered(presence: presence, question: .second(asked))
    }

    private func end(in effects: [AgentCore.Effect]) -> OrderFailure? {
        guard case .append(let report)? = effects.first, case .failed(let failure) = report.step else { return nil }
        return failure
    }

    private func migrating(startsWithHost: Bool = false) -> AgentCore {
        var requirements = requirements
        requirements.startsWithHost = startsWithHost
        return migratingSource(with: requirements)
    }
}
