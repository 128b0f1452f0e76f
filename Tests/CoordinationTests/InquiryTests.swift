// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A source that does not know where its VM is.
struct InquiryTests {
    @Test func `after a lost answer the agent asks both hypervisors`() throws {
        var core = migrating()
        let lost = OrderFailure(.inDoubt, .other("the call was cut off"), .unknown)
        #expect(core.handle(.migrationEnded(order.id, .failure(lost)), at: .second(9)) == [.look(order)])
        let stayed = CopyObservation(here: .seen(.running), there: .seen(.absent))
        let effects = core.handle(.looked(order.id, stayed), at: .second(10))
        guard case .append(let report)? = effects.first, case .failed(let failure) = report.step else {
            Issue.record("no end: \(effects)")
            return
        }
        #expect(failure.kind == .migration && failure.whereabouts == .at(h1))
        #expect(failure.text == "the call was cut off; vm1 is on h1")
    }

    @Test func `a failed move is followed until the target confirms that it has no copy`() {
        var core = migrating()
        let failed = OrderFailure(.migration, .other("broken pipe"), .at(h1))
        #expect(core.handle(.migrationEnded(order.id, .failure(failed)), at: .second(9)).count == 1)
        _ = core.handle(.appended(.written), at: .second(9))
        #expect(core.handle(.tick, at: .second(10)) == [.look(order)])
        let silent = CopyObservation(here: .seen(.running), there: .silent("no route"))
        #expect(core.handle(.looked(order.id, silent), at: .second(10)).isEmpty)
        #expect(core.handle(.tick, at: .second(11)).isEmpty, "it is asked every five seconds")
        #expect(core.handle(.tick, at: .second(15)) == [.look(order)])
        let twice = CopyObservation(here: .seen(.running), there: .seen(.running))
        #expect(core.handle(.looked(order.id, twice), at: .second(15)) == [.apply(.pause, order)])
        let said = core.handle(.applied(order.id, .done), at: .second(16))
        guard case .announce(let announcement)? = said.first else {
            Issue.record("no alert: \(said)")
            return
        }
        #expect(announcement.text.contains("two copies of vm1"))
        #expect(core.handle(.tick, at: .second(60)).isEmpty && !core.needsTicks)
    }

    @Test func `an agent that restarts checks for a copy left by its failed move`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(20))
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("broken pipe"), .at(h1)))
        _ = core.handle(.report(report("h1", 9, failed)), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)).isEmpty)
        #expect(core.handle(.tick, at: .second(21)) == [.look(order)])
        #expect(
            core.handle(
                .looked(order.id, CopyObservation(here: .seen(.running), there: .seen(.absent))),
                at: .second(22)
            )
                == []
        )
        #expect(!core.needsTicks)
    }

    @Test func `a VM at the source counts as not moved only after the job lock's timeout`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(order)])
        let here = CopyObservation(here: .seen(.running), there: .seen(.absent))
        #expect(core.handle(.looked(order.id, here), at: .second(21)).isEmpty)
        #expect(core.handle(.tick, at: .second(54)) == [.look(order)])
        #expect(core.handle(.looked(order.id, here), at: .second(54)).isEmpty)
        #expect(core.handle(.tick, at: .second(56)) == [.look(order)])
        #expect(core.handle(.looked(order.id, here), at: .second(56)).count == 1, "now it counts")
    }

    @Test func `a clock that is set back delays nothing`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(2_000))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(2_000))
        #expect(core.handle(.caughtUp, at: .second(2_000)) == [.look(order)])
        let open = CopyObservation(here: .seen(.absent), there: .silent("no route"))
        #expect(core.handle(.looked(order.id, open), at: .second(2_001)).isEmpty)
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

    private func migrating() -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        _ = core.handle(.report(report("h2", 3, .prepared())), at: .second(4))
        #expect(core.handle(.appended(.written), at: .second(4)) == [.migrate(order, preparation)])
        return core
    }
}
