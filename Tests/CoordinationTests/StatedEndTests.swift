// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// Orders that a record ends, because their source does not.
struct StatedEndTests {
    private func end(on host: HostName, at second: Int = 1000) -> OrderRecord {
        .end(id: order.id, on: host, at: .second(second), reason: "h1 burned down")
    }

    private func statedEnd(on host: HostName) -> StatedEnd {
        StatedEnd(host: host, at: .second(1000), reason: "h1 burned down")
    }

    private var begun: [OrderReport] {
        [
            report("h1", 1, .accepted(requirements: requirements)), report("h2", 2, .prepared()),
            report("h1", 3, .running(progress: progress)),
        ]
    }

    /// Returns an agent that has read the order, its reports and the records, as after a start: orders come first.
    private func reader(_ host: HostName, _ records: [OrderRecord], at second: Int) -> AgentCore {
        var core = AgentCore(host: host)
        for record in [.migrate(order: order)] + records {
            #expect(core.handle(.order(record), at: .second(second)).isEmpty)
        }
        for report in begun { #expect(core.handle(.report(report), at: .second(second)).isEmpty) }
        return core
    }

    // MARK: state

    @Test func `an end counts in any order of records and reports`() {
        for host in [h1, h2] {
            var before = OrderState(order)
            before.end(statedEnd(on: host))
            for report in begun { before.apply(report) }
            var after = OrderState(order)
            for report in begun { after.apply(report) }
            #expect(after.end(statedEnd(on: host)) == true)
            #expect(before == after)
            #expect(after.stage == (host == h2 ? .done : .failed))
            #expect(after.startedAt == .second(3) && after.changedAt == .second(1000))
            #expect(after.failure?.whereabouts == (host == h1 ? .at(h1) : nil))
            #expect(after.evidence?.verdict == (host == h2 ? .unknown : nil))
        }
    }

    @Test func `an end that the source reports replaces the stated one`() {
        let done = report("h1", 9, .done(outcome: completion.outcome, evidence: completion.evidence))
        var state = OrderState(order)
        for report in begun { state.apply(report) }
        state.end(statedEnd(on: h1))
        #expect(state.stage == .failed)
        #expect(state.apply(done) == true)
        #expect(state.stage == .done && state.evidence == completion.evidence && state.statedEnd == nil)
        var reported = OrderState(order)
        for report in begun + [done] { reported.apply(report) }
        #expect(reported.end(statedEnd(on: h1)) == false, "it has ended")
        #expect(reported == state)
    }

    @Test func `only source and target can have the VM, and the first statement counts`() {
        var state = OrderState(order)
        #expect(state.end(statedEnd(on: HostName("h3"))) == false)
        #expect(state.stage == .submitted)
        #expect(state.end(statedEnd(on: h2)) == true)
        #expect(state.end(statedEnd(on: h1)) == false)
        #expect(state.stage == .done)
    }

    /// A controller that was frozen before it wrote states what was so at the time of its decision.
    @Test func `a statement that is older than another, or the same again, changes nothing`() {
        for late in [StatedEnd(host: h2, at: .second(900), reason: "by a frozen controller"), statedEnd(on: h1)] {
            var state = OrderState(order)
            for report in begun { state.apply(report) }
            state.end(statedEnd(on: h1))
            let before = state
            #expect(state.end(late) == false && state == before)
        }
    }

    // MARK: target

    @Test func `the target frees the promised memory`() {
        for isEnded in [false, true] {
            var core = reader(h2, isEnded ? [end(on: h2)] : [], at: 1000)
            _ = core.handle(.caughtUp, at: .second(1000))
            var next = order
            (next.id, next.vm, next.source) = (OrderID("o2"), VMID("uuid-2"), HostName("h3"))
            _ = core.handle(.order(.migrate(order: next)), at: .second(1001))
            var accepted = report("h3", 1001, .accepted(requirements: requirements))
            accepted.order = next.id
            let promised = isEnded ? 0 : requirements.memoryBytes
            let check = core.handle(.report(accepted), at: .second(1001))
            #expect(check.contains(.checkTarget(next, requirements, promisedBytes: promised)))
        }
    }

    @Test func `the VM can move on from the target`() throws {
        var core = reader(h2, [], at: 1000)
        _ = core.handle(.caughtUp, at: .second(1000))
        var onward = order
        (onward.id, onward.source, onward.target) = (OrderID("o2"), h2, HostName("h3"))
        (onward.issuedAt, onward.expires) = (.second(1000), .second(1200))
        let refused = core.handle(.order(.migrate(order: onward)), at: .second(1001))
        guard case .append(let report)? = refused.last, case .failed(let failure) = report.step else {
            Issue.record("not refused: \(refused)")
            return
        }
        #expect(failure.reason == .order(.vmIsMoving(order.id)))
        _ = core.handle(.appended(.written), at: .second(1001))
        _ = core.handle(.order(end(on: h2)), at: .second(1002))
        onward.id = OrderID("o3")
        let effects = core.handle(.order(.migrate(order: onward)), at: .second(1003))
        #expect(effects.contains(.readRequirements(onward)))
    }

    @Test func `the target sets the VM to start with it`() {
        var core = AgentCore(host: h2)
        _ = core.handle(.order(.migrate(order: order)), at: .second(1000))
        _ = core.handle(.order(end(on: h2)), at: .second(1000))
        var needs = requirements
        needs.startsWithHost = true
        for report in [report("h1", 1, .accepted(requirements: needs))] + begun.dropFirst() {
            _ = core.handle(.report(report), at: .second(1000))
        }
        #expect(core.handle(.caughtUp, at: .second(1000)).contains(.startWithHost(order)))
    }

    @Test func `an agent that ignores the end keeps the order`() {
        var core = AgentCore(host: h2)
        core.mutations = [.ignoresEnds]
        _ = core.handle(.order(.migrate(order: order)), at: .second(1000))
        _ = core.handle(.order(end(on: h2)), at: .second(1000))
        #expect(core.orders[order.id]?.stage == .submitted)
    }

    // MARK: source

    @Test(arguments: [
        (DomainPresence.running, CopyAction.pause), (.pausedByMigration, .discard), (.inactive, .discard),
    ])
    func `a source that comes back, however late, does not run the VM beside the target`(
        _ here: DomainPresence,
        _ action: CopyAction
    ) {
        let late = 30 * 86400
        var core = reader(h1, [end(on: h2)], at: late)
        #expect(core.handle(.caughtUp, at: .second(late)).isEmpty)
        #expect(core.handle(.tick, at: .second(late + 1)).isEmpty)
        #expect(core.handle(.known([order.vm]), at: .second(late + 2)).isEmpty)
        #expect(round(&core, here: here, there: .running, at: late + 3) == [.apply(action, order)])
        let effects = core.handle(.applied(order.id, .done), at: .second(late + 4))
        let alerts = effects.count { if case .announce(.returned) = $0 { true } else { false } }
        #expect(alerts == (action == .pause ? 1 : 0))
        #expect(core.orders[order.id]?.stage == .done)
    }

    @Test func `a source that searches when the order is ended continues as if it came back later`() {
        var core = reader(h1, [], at: 20)
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(order)])
        _ = core.handle(.order(end(on: h2)), at: .second(21))
        _ = core.handle(.looked(order.id, .seen(.absent)), at: .second(22))
        #expect(!core.needsTicks, "nothing is here")
        #expect(core.orders[order.id]?.stage == .done)
    }

    @Test func `a VM that the record leaves at the source is searched and started there`() {
        let late = 30 * 86400
        var core = AgentCore(host: h1)
        var needs = requirements
        needs.startsWithHost = true
        _ = core.handle(.order(.migrate(order: order)), at: .second(late))
        _ = core.handle(.order(end(on: h1)), at: .second(late))
        for report in [report("h1", 1, .accepted(requirements: needs))] + begun.dropFirst() {
            _ = core.handle(.report(report), at: .second(late))
        }
        #expect(core.handle(.caughtUp, at: .second(late)).isEmpty)
        #expect(round(&core, here: .inactive, there: .absent, at: late + 1).isEmpty, "others may object")
        #expect(core.handle(.tick, at: .second(late + 4)) == [.look(order)])
        let effects = core.handle(.looked(order.id, .seen(.inactive)), at: .second(late + 4))
        #expect(effects == [.apply(.start, order)])
    }

    @Test func `a move that continues in libvirt still reports its end, and its VM takes no other order`() throws {
        var core = migratingSource()
        #expect(core.handle(.order(end(on: h1, at: 5)), at: .second(5)).isEmpty)
        #expect(core.orders[order.id]?.stage == .failed)
        var next = order
        next.id = OrderID("o2")
        next.target = HostName("h3")
        let refused = core.handle(.order(.migrate(order: next)), at: .second(6))
        guard case .append(let refusal)? = refused.last, case .failed(let failure) = refusal.step else {
            Issue.record("not refused: \(refused)")
            return
        }
        #expect(failure.reason == .order(.vmIsMoving(order.id)))
        _ = core.handle(.appended(.written), at: .second(6))
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        let effects = core.handle(.migrationEnded(order.id, .success(completion)), at: .second(9))
        #expect(effects == [.append(report("h1", 9, done))])
        #expect(core.orders[order.id]?.stage == .done)
    }

    @Test func `a move whose order is ended before it begins does not begin`() {
        var core = caughtUp("h1")
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = core.handle(.appended(.written), at: .second(2))
        _ = core.handle(.report(report("h2", 3, .prepared())), at: .second(4))
        _ = core.handle(.order(end(on: h1, at: 4)), at: .second(4))
        let effects = core.handle(.appended(.written), at: .second(4))
        guard case .append(let report)? = effects.first, case .failed(let failure) = report.step else {
            Issue.record("no end: \(effects)")
            return
        }
        #expect(failure.kind == .cancelled && failure.whereabouts == .at(h1) && effects.count == 1)
    }

    private func caughtUp(_ host: String) -> AgentCore {
        var core = AgentCore(host: HostName(host))
        _ = core.handle(.caughtUp, at: .second(0))
        return core
    }
}
