// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

struct AgentCoreTests {
    @Test func `the source accepts, waits for consent and migrates once`() {
        var core = caughtUp("h1")
        #expect(core.handle(.order(.migrate(order: order)), at: .second(1)) == [.readRequirements(order)])
        let accepted = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        #expect(accepted == [.append(report("h1", 2, .accepted(requirements: requirements)))])
        #expect(core.handle(.tick, at: .second(3)).isEmpty)
        #expect(core.handle(.appended(.written), at: .second(3)).isEmpty)
        let begun = core.handle(.report(report("h2", 3, .prepared())), at: .second(4))
        #expect(begun == [.append(report("h1", 4, .running(progress: begin)))])
        #expect(core.handle(.tick, at: .second(4)).isEmpty, "the ledger shows the move as begun before it begins")
        #expect(core.handle(.appended(.written), at: .second(4)) == [.migrate(order, preparation)])
        #expect(core.handle(.tick, at: .second(5)).isEmpty)
        #expect(core.handle(.order(.migrate(order: order)), at: .second(5)).isEmpty, "an order is used once")
        #expect(core.handle(.report(report("h2", 3, .prepared())), at: .second(5)).isEmpty)
        let done = core.handle(.migrationEnded(order.id, .success(completion)), at: .second(9))
        #expect(done == [.append(report("h1", 9, .done(outcome: completion.outcome, evidence: completion.evidence)))])
        #expect(core.handle(.tick, at: .second(10)).isEmpty)
    }

    @Test func `the VM's state at acceptance is kept until its move begins`() {
        var core = caughtUp("h1")
        let probes = [GateProbe(address: "10.0.0.2", port: 49152, at: .second(1), outcome: .shut)]
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements), probes: probes), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        _ = core.handle(.report(report("h2", 3, .prepared())), at: .second(4))
        let seen = Preparation(probes: probes, memoryBytes: requirements.memoryBytes)
        #expect(core.handle(.appended(.written), at: .second(4)) == [.migrate(order, seen)])
    }

    @Test func `a target reports how long its gate took to open`() {
        var core = caughtUp("h2")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
        var prepared = report("h2", 3, .prepared())
        prepared.gateSeconds = 0.25
        prepared.confirmsDefinition = true
        #expect(core.handle(.targetChecked(order.id, [], gateSeconds: 0.25), at: .second(3)) == [.append(prepared)])
    }

    @Test func `the target checks and consents, or names what is missing`() {
        for failures in [[], [PreflightFailure(check: .memory, host: h2, reason: .other("10 MiB available"))]] {
            var core = caughtUp("h2")
            #expect(core.handle(.order(.migrate(order: order)), at: .second(1)).isEmpty)
            let check = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
            #expect(check == [.checkTarget(order, requirements, promisedBytes: 0)])
            let effects = core.handle(.targetChecked(order.id, failures), at: .second(3))
            guard case .append(let report) = effects.last else {
                Issue.record("no report")
                continue
            }
            if failures.isEmpty {
                #expect(report.step == .prepared())
            } else if case .failed(let failure) = report.step {
                #expect(failure.kind == .refused && failure.whereabouts == .at(h1) && failure.preflight == failures)
                #expect(failure.text == "memory on h2: 10 MiB available")
            } else {
                Issue.record("not refused")
            }
        }
    }

    @Test func `an agent ignores orders of other hosts`() {
        var core = caughtUp("h3")
        #expect(core.handle(.order(.migrate(order: order)), at: .second(1)).isEmpty)
        #expect(core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2)).isEmpty)
    }

    @Test func `an expired order is refused`() throws {
        var core = caughtUp("h1")
        let failure = try failure(in: core.handle(.order(.migrate(order: order)), at: .second(500)))
        #expect(failure.kind == .expired)
    }

    @Test func `an old consent is not acted upon`() throws {
        var core = caughtUp("h1")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        let failure = try failure(in: core.handle(.report(report("h2", 3, .prepared())), at: .second(200)))
        #expect(failure.kind == .expired && failure.whereabouts == .at(h1))
    }

    @Test func `a second order for a moving VM is refused`() throws {
        var core = caughtUp("h1")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        var second = order
        second.id = OrderID("o2")
        second.issuedAt = .second(1)
        let failure = try failure(in: core.handle(.order(.migrate(order: second)), at: .second(2)))
        #expect(failure.kind == .refused && failure.text.contains("order o1 is already moving the VM"))
    }

    @Test func `an order that a newer one follows is refused`() throws {
        var core = AgentCore(host: h1)
        var newer = order
        newer.id = OrderID("a newer one")
        // The position in the ledger decides which is newer, not the issuers' clocks.
        newer.issuedAt = .second(-100)
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.order(.migrate(order: newer)), at: .second(1))
        let effects = core.handle(.caughtUp, at: .second(2))
        #expect(effects.contains(.readRequirements(newer)))
        #expect(!effects.contains(.readRequirements(order)))
        let failure = try failure(in: effects.filter { if case .append = $0 { true } else { false } })
        #expect(failure.kind == .refused && failure.text.contains("a newer order"))
    }

    @Test func `only one move at a time uses a tunnel`() {
        var core = migrating()
        var other = order
        other.id = OrderID("o2")
        other.vm = VMID("uuid-2")
        #expect(core.handle(.order(.migrate(order: other)), at: .second(5)).isEmpty)
        other.id = OrderID("o3")
        other.target = HostName("h3")
        #expect(core.handle(.order(.migrate(order: other)), at: .second(5)) == [.readRequirements(other)])
    }

    @Test func `a target counts the memory that it has promised`() {
        var core = caughtUp("h2")
        var other = order
        other.id = OrderID("o2")
        other.vm = VMID("uuid-2")
        other.source = HostName("h3")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.order(.migrate(order: other)), at: .second(1))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
        var accepted = report("h3", 1, .accepted(requirements: requirements))
        accepted.order = other.id
        let check = core.handle(.report(accepted), at: .second(2))
        #expect(check == [.checkTarget(other, requirements, promisedBytes: requirements.memoryBytes)])
    }

    @Test func `a target that does not answer ends the order`() throws {
        var core = caughtUp("h1")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        #expect(core.handle(.tick, at: .second(30)).isEmpty)
        let failure = try failure(in: core.handle(.tick, at: .second(40)))
        #expect(failure.whereabouts == .at(h1) && failure.text.contains("the agent of h2 did not answer"))
    }

    @Test func `cancel ends a waiting order and stops a running one`() throws {
        var waiting = caughtUp("h1")
        _ = waiting.handle(.order(.migrate(order: order)), at: .second(1))
        _ = waiting.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = waiting.handle(.appended(.written), at: .second(2))
        let cancel = OrderRecord.cancel(id: order.id, at: .second(3), reason: "lunch")
        let failure = try failure(in: waiting.handle(.order(cancel), at: .second(3)))
        #expect(failure.kind == .cancelled && failure.text.contains("lunch"))

        var running = migrating()
        #expect(running.handle(.order(cancel), at: .second(5)) == [.cancelMigration(order)])
        let lunch = OrderFailure(.cancelled, .other("lunch"), .at(h1))
        let ended = running.handle(.migrationEnded(order.id, .failure(lunch)), at: .second(6))
        #expect(ended == [.append(report("h1", 6, .failed(failure: lunch)))])
    }

    @Test func `an agent that restarts reconciles and never begins a move again`() throws {
        var core = AgentCore(host: h1)
        let history: [OrderStep] = [.accepted(requirements: requirements), .running(progress: progress)]
        #expect(core.handle(.order(.migrate(order: order)), at: .second(20)).isEmpty)
        for step in history { #expect(core.handle(.report(report("h1", 2, step)), at: .second(20)).isEmpty) }
        #expect(core.handle(.report(report("h2", 2, .prepared())), at: .second(20)).isEmpty)
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(order)])
        #expect(core.handle(.tick, at: .second(23)).isEmpty, "one observation at a time")
        let asked = core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(23))
        let question = PresenceQuestion(vm: order.vm, target: h2, here: .pausedByMigration)
        #expect(asked == [.append(report("h1", 23, .asked(question: question)))])
        _ = core.handle(.appended(.written), at: .second(23))
        let running = OrderStep.answered(presence: .running, question: .second(23))
        #expect(core.handle(.report(report("h2", 24, running)), at: .second(24)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.pausedByMigration)), at: .second(24)) == [.apply(.discard, order)])
        let ended = core.handle(.applied(order.id, .done), at: .second(25))
        guard case .append(let report)? = ended.first, case .done(let outcome, _) = report.step else {
            Issue.record("not done: \(ended)")
            return
        }
        #expect(outcome.note == "the agent was restarted during the move; vm1 is on h2")
        #expect(outcome.startedAt == .second(2))
        #expect(core.handle(.tick, at: .second(26)).isEmpty)
    }

    @Test func `a target that restarts remembers its promises`() {
        var core = AgentCore(host: h2)
        var other = order
        other.id = OrderID("o2")
        other.vm = VMID("uuid-2")
        other.source = HostName("h3")
        _ = core.handle(.order(.migrate(order: order)), at: .second(5))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(5))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(5))
        _ = core.handle(.caughtUp, at: .second(5))
        _ = core.handle(.order(.migrate(order: other)), at: .second(6))
        var accepted = report("h3", 6, .accepted(requirements: requirements))
        accepted.order = other.id
        let check = core.handle(.report(accepted), at: .second(6))
        #expect(check == [.checkTarget(other, requirements, promisedBytes: requirements.memoryBytes)])
    }

    @Test func `a target stops waiting for a silent source`() throws {
        var core = caughtUp("h2")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(2))
        _ = core.handle(.targetChecked(order.id, []), at: .second(3))
        _ = core.handle(.appended(.written), at: .second(3))
        #expect(
            core.handle(.tick, at: order.latestBeginning + .seconds(299)) == [.shut(order)],
            "its gate does not wait"
        )
        let failure = try failure(in: core.handle(.tick, at: order.latestBeginning + .seconds(301)))
        #expect(failure.kind == .expired)
    }

    @Test func `an order that was not begun before a restart ends with the restart`() throws {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .accepted(requirements: requirements))), at: .second(20))
        _ = core.handle(.report(report("h2", 2, .prepared())), at: .second(20))
        let failure = try failure(in: core.handle(.caughtUp, at: .second(20)))
        #expect(failure.kind == .interrupted)
    }

    @Test func `an inherited move can be cancelled and has a time limit`() {
        for isTooLong in [false, true] {
            var core = inheriting()
            if !isTooLong {
                _ = core.handle(.order(.cancel(id: order.id, at: .second(21), reason: "lunch")), at: .second(21))
            }
            let cancelled = core.handle(.tick, at: .second(isTooLong ? 4000 : 22))
            #expect(cancelled.isEmpty == !isTooLong)
            #expect(core.handle(.tick, at: .second(4001)).isEmpty, "one try at a time")
            _ = core.handle(.cancelTried(order.id), at: .second(4001))
            #expect(core.handle(.tick, at: .second(4002)) == [.cancelMigration(order)])
        }
    }

    @Test func `doubt that lasts raises an alert`() throws {
        var core = inheriting()
        _ = core.handle(.looked(order.id, .seen(.migratingOut)), at: .second(1000))
        #expect(core.handle(.looked(order.id, .seen(.absent)), at: .second(1500)).count == 1, "h2 is asked")
        _ = core.handle(.appended(.written), at: .second(1500))
        #expect(core.handle(.tick, at: .second(1511)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.absent)), at: .second(1590)).isEmpty)
        #expect(core.handle(.tick, at: .second(1601)) == [.look(order)])
        let failure = try failure(in: core.handle(.looked(order.id, .seen(.absent)), at: .second(1601)))
        #expect(failure.kind == .inDoubt && failure.whereabouts == .unknown)
        #expect(failure.text.contains("the agent of h2 does not answer"))

        // The target's agent is back: its answer replaces the doubt.
        _ = core.handle(.appended(.written), at: .second(1601))
        let running = OrderStep.answered(presence: .running, question: .second(1500))
        #expect(core.handle(.report(report("h2", 5000, running)), at: .second(5000)) == [.look(order)])
        #expect(core.handle(.looked(order.id, .seen(.absent)), at: .second(5000)) == [.apply(.discard, order)])
        let ended = core.handle(.applied(order.id, .done), at: .second(5001))
        guard case .append(let report)? = ended.first, case .done = report.step else {
            Issue.record("not resolved: \(ended)")
            return
        }
        #expect(core.orders[order.id]?.stage == .done)
    }

    @Test func `a restarted agent pursues a doubt, and the search after a failed move`() {
        let limit = AgentCore.Limits().doubt
        let undecided = FailureReason.inquiry(.agentRestarted, .undecided(detail: "?", limit: limit))
        let ends: [(OrderFailure, isPursued: Bool)] = [
            (OrderFailure(.inDoubt, undecided, .unknown), true),
            (OrderFailure(.migration, .other("broken pipe"), .at(h1)), true),
            (OrderFailure(.refused, .other("no"), .at(h1)), true),
        ]
        for (end, isPursued) in ends {
            var core = AgentCore(host: h1)
            _ = core.handle(.order(.migrate(order: order)), at: .second(9000))
            _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(9000))
            _ = core.handle(.report(report("h1", 700, .failed(failure: end))), at: .second(9000))
            _ = core.handle(.caughtUp, at: .second(9000))
            #expect(core.handle(.tick, at: .second(9001)).contains(.look(order)) == isPursued)
        }
        for (presence, isOver) in [(DomainPresence.absent, true), (.running, false), (.pausedByMigration, false)] {
            var core = AgentCore(host: h1)
            _ = core.handle(.order(.migrate(order: order)), at: .second(9000))
            _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(9000))
            let end = OrderFailure(.migration, .other("broken pipe"), .at(h1))
            _ = core.handle(.report(report("h1", 700, .failed(failure: end))), at: .second(9000))
            let answer = OrderStep.answered(presence: presence, question: .second(701))
            _ = core.handle(.report(report("h2", 702, answer)), at: .second(9000))
            _ = core.handle(.caughtUp, at: .second(9000))
            #expect(core.handle(.tick, at: .second(9001)).isEmpty == isOver, "\(presence)")
        }
    }

    @Test func `a clock that is ahead at the start does not end the search after a failed move`() {
        let end = OrderFailure(.migration, .other("broken pipe"), .at(h1))
        for (newestRecord, isSearched) in [(700, true), (200_000_000, false)] {
            var core = AgentCore(host: h1)
            var ofOthers = order
            (ofOthers.id, ofOthers.source, ofOthers.target) = (OrderID("others"), HostName("h8"), HostName("h9"))
            ofOthers.issuedAt = .second(newestRecord)
            for record in [order, ofOthers] {
                _ = core.handle(.order(.migrate(order: record)), at: .second(300_000_000))
            }
            for step in [.running(progress: progress), OrderStep.failed(failure: end)] {
                _ = core.handle(.report(report("h1", 700, step)), at: .second(300_000_000))
            }
            _ = core.handle(.caughtUp, at: .second(300_000_000))
            #expect(core.handle(.tick, at: .second(300_000_001)).contains(.look(order)) == isSearched)
        }
    }

    @Test func `a running order of this host that appears late is searched, and not begun`() {
        var core = caughtUp("h1")
        // The clock was behind: the host's own lines were dated ahead, and the reports came first.
        _ = core.handle(.report(report("h1", 1, .accepted(requirements: requirements))), at: .second(3))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(3))
        #expect(core.handle(.order(.migrate(order: order)), at: .second(3)).isEmpty)
        #expect(core.handle(.tick, at: .second(4)) == [.look(order)])
    }

    @Test func `orders of other hosts are not kept`() {
        var core = caughtUp("h9")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        for second in 0..<100 {
            #expect(core.handle(.report(report("h1", second, .running(progress: progress))), at: .second(2)).isEmpty)
        }
        #expect(core.orders.isEmpty)
    }

    private func inheriting() -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)).count == 1)
        return core
    }

    @Test func `orders that have ended are left alone`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        let step = OrderStep.failed(failure: OrderFailure(.refused, .other("no"), .at(h1)))
        _ = core.handle(.report(report("h2", 2, step)), at: .second(20))
        #expect(core.handle(.caughtUp, at: .second(20)).isEmpty)
    }

    @Test func `a move does not begin while the mark of its start is not durable`() throws {
        var core = prepared()
        let failure = try failure(in: core.handle(.appended(.unmarked), at: .second(4)))
        #expect(failure.reason == .order(.beginningNotMarked) && failure.whereabouts == .at(h1))
        #expect(core.handle(.appended(.unmarked), at: .second(4)).isEmpty, "the ledger has it: it is not written again")
        #expect(core.handle(.tick, at: .second(9)).isEmpty && !core.needsTicks)
    }

    @Test func `a report without a durable mark is not written again`() throws {
        var core = migrating()
        #expect(core.handle(.migrationEnded(order.id, .success(completion)), at: .second(9)).count == 1)
        #expect(core.handle(.appended(.unmarked), at: .second(9)).isEmpty)
        #expect(core.handle(.tick, at: .second(20)).isEmpty && !core.needsTicks)
    }

    @Test func `progress is written at intervals`() {
        var core = migrating()
        #expect(core.handle(.progressed(order.id, progress), at: .second(5)).isEmpty, "the beginning was just written")
        #expect(core.handle(.progressed(order.id, progress), at: .second(7)).count == 1)
        _ = core.handle(.appended(.written), at: .second(7))
        #expect(core.handle(.progressed(order.id, progress), at: .second(8)).isEmpty)
    }

    private func migrating() -> AgentCore {
        var core = prepared()
        #expect(core.handle(.appended(.written), at: .second(4)) == [.migrate(order, preparation)])
        return core
    }

    /// Returns a source that is writing that its move begins.
    private func prepared() -> AgentCore {
        var core = caughtUp("h1")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        #expect(core.handle(.report(report("h2", 3, .prepared())), at: .second(4)).count == 1)
        return core
    }

    private func caughtUp(_ host: String) -> AgentCore {
        var core = AgentCore(host: HostName(host))
        #expect(core.handle(.caughtUp, at: .second(0)).isEmpty)
        return core
    }

    private func failure(in effects: [AgentCore.Effect]) throws -> OrderFailure {
        guard effects.count == 1, case .append(let report) = effects.first, case .failed(let failure) = report.step
        else {
            throw NoFailure(effects: "\(effects)")
        }
        return failure
    }

    private struct NoFailure: Error { var effects: String }
}
