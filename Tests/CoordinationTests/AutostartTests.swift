// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import TestSupport
import Testing

/// The hand-over of whether a VM starts with its host.
struct AutostartTests {
    private var requirements: VMRequirements {
        var requirements = VMRequirements.sample()
        requirements.startsWithHost = true
        return requirements
    }

    /// Returns a core that has read the order and its end, and its effects; the gate of the target is not the subject.
    private func read(
        _ host: String,
        _ end: OrderStep,
        accepted: VMRequirements? = nil,
        isPrepared: Bool = true,
        takesOver: Bool? = true,
        newestRecord: Int = 0,
        at second: Int = 20
    ) -> (AgentCore, [AgentCore.Effect]) {
        var core = AgentCore(host: HostName(host))
        _ = core.handle(.order(.migrate(order: order)), at: .second(second))
        var ofOthers = order
        (ofOthers.id, ofOthers.source, ofOthers.target) = (OrderID("others"), HostName("h8"), HostName("h9"))
        ofOthers.issuedAt = .second(newestRecord)
        _ = core.handle(.order(.migrate(order: ofOthers)), at: .second(second))
        var consent = report("h2", 2, .prepared())
        consent.takesOverAutostart = takesOver
        if isPrepared { _ = core.handle(.report(consent), at: .second(second)) }
        let steps: [OrderStep] = [.accepted(requirements: accepted ?? requirements), .running(progress: progress), end]
        for step in steps { _ = core.handle(.report(report("h1", 2, step)), at: .second(second)) }
        // The search after a failed move is over.
        let answer = OrderStep.answered(presence: .absent, question: .second(3))
        _ = core.handle(.report(report("h2", 3, answer)), at: .second(second))
        let effects = core.handle(.caughtUp, at: .second(second))
        let all = effects + core.handle(.tick, at: .second(second))
        return (core, all.filter { $0 != .shut(order) })
    }

    private let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
    private let set = AgentCore.Effect.startWithHost(order)

    private func failed(_ whereabouts: OrderFailure.Whereabouts, _ kind: OrderFailure.Kind = .migration) -> OrderStep {
        .failed(failure: OrderFailure(kind, .other("a test"), whereabouts))
    }

    @Test func `the host where the VM is sets its autostart, and no other`() {
        #expect(read("h2", done).1 == [set])
        #expect(read("h1", done).1 == [])
        #expect(read("h1", failed(.at(h1))).1 == [set])
        #expect(read("h2", failed(.at(h1))).1 == [])
        #expect(read("h2", failed(.at(h2), .inDoubt)).1 == [set])
        #expect(!read("h1", failed(.unknown, .inDoubt)).1.contains(set))
    }

    /// While a search is open, the agent refuses the controller's orders for the VM.
    @Test func `a newer order that was refused does not take the setting over`() {
        let failure = OrderStep.failed(failure: OrderFailure(.refused, .other("searched"), .at(h1)))
        for isRefused in [false, true] {
            var (core, effects) = read("h2", done, at: 20)
            #expect(effects == [set])
            _ = core.handle(.autostartSet(order.id, failure: "busy"), at: .second(21))
            var newer = order
            newer.id = OrderID("newer")
            (newer.source, newer.target) = (h2, h1)
            newer.issuedAt = .second(22)
            newer.expires = .second(120)
            _ = core.handle(.order(.migrate(order: newer)), at: .second(22))
            var report = report("h2", 23, isRefused ? failure : .running(progress: progress))
            report.order = newer.id
            effects = core.handle(.report(report), at: .second(40))
            effects += core.handle(.tick, at: .second(60))
            #expect(effects.contains(set) == isRefused)
        }
    }

    @Test func `a host acts on another host's word only if it has agreed to take the VM`() {
        #expect(read("h2", done, isPrepared: false).1 == [])
        #expect(read("h2", failed(.at(h2), .inDoubt), isPrepared: false).1 == [])
    }

    @Test func `a VM that does not start with its host is left alone`() {
        var needs = requirements
        for startsWithHost in [false, nil] {
            needs.startsWithHost = startsWithHost
            #expect(read("h2", done, accepted: needs).1 == [])
        }
    }

    @Test func `it is tried until it holds, and then no more`() {
        var (core, _) = read("h2", done)
        #expect(core.handle(.tick, at: .second(60)) == [], "one attempt at a time")
        #expect(core.handle(.autostartSet(order.id, failure: "libvirt is out"), at: .second(61)) == [])
        #expect(core.handle(.tick, at: .second(70)) == [])
        // Also after the time for which ended orders are remembered.
        #expect(core.handle(.tick, at: .second(5000)) == [set])
        #expect(core.handle(.autostartSet(order.id, failure: nil), at: .second(5001)) == [])
        #expect(core.handle(.tick, at: .second(6000)) == [] && core.orders.isEmpty && !core.needsTicks)
    }

    @Test func `an order that ended long ago is not touched after a restart`() {
        #expect(read("h2", done, newestRecord: 500_000, at: 500_000).1 == [set])
        #expect(read("h2", done, newestRecord: 700_000, at: 700_000).1 == [])
    }

    @Test func `a failing attempt is repeated for longer than a week`() {
        var (core, _) = read("h2", done)
        for second in stride(from: 30, to: 900_000, by: 100_000) {
            #expect(core.handle(.autostartSet(order.id, failure: "libvirt is out"), at: .second(second)) == [])
            #expect(core.handle(.tick, at: .second(second + 20)) == [set])
        }
    }

    @Test func `it is set after a search of any length`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        for step in [.accepted(requirements: requirements), .running(progress: progress), failed(.at(h1))] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        _ = core.handle(.caughtUp, at: .second(20))
        #expect(core.handle(.tick, at: .second(21)) == [.look(order)])
        _ = core.handle(.looked(order.id, .silent("libvirt is out")), at: .second(21))
        #expect(core.handle(.tick, at: .second(900_000)) == [.look(order)])
        _ = core.handle(.looked(order.id, .seen(.running)), at: .second(900_000))
        _ = core.handle(.appended(.written), at: .second(900_000))
        let answer = OrderStep.answered(presence: .absent, question: .second(900_000))
        _ = core.handle(.report(report("h2", 900_001, answer)), at: .second(900_001))
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(900_001)) == [set])
    }

    @Test func `an alert is raised once if no agent sets it`() {
        func lost(_ trouble: AgentCore.AutostartTrouble) -> AgentCore.Effect {
            .announce(.autostartLost(order.id, vm: "vm1", trouble))
        }
        var (core, effects) = read("h1", done, takesOver: nil)
        #expect(effects == [lost(.notTakenOver(h2))])
        #expect(core.handle(.tick, at: .second(30)) == [])
        (core, effects) = read("h1", failed(.unknown, .inDoubt))
        #expect(effects.contains(lost(.placeUnknown)))
        #expect(!core.handle(.tick, at: .second(30)).contains(lost(.placeUnknown)))
        #expect(read("h2", done, takesOver: nil).1 == [set], "the source reports it")
        var needs = requirements
        needs.startsWithHost = false
        #expect(read("h1", done, accepted: needs, takesOver: nil).1 == [])
    }

    @Test func `an alert is old by the ledger's time, not by a clock that is ahead`() {
        func isRaised(newestRecord: Int, at second: Int) -> Bool {
            read("h1", done, takesOver: nil, newestRecord: newestRecord, at: second).1
                .contains(.announce(.autostartLost(order.id, vm: "vm1", .notTakenOver(h2))))
        }
        #expect(isRaised(newestRecord: 20, at: 300_000_000))
        #expect(!isRaised(newestRecord: 100_000, at: 100_000))
    }

    @Test func `a target states that it takes autostart over`() throws {
        var core = AgentCore(host: h2)
        _ = core.handle(.caughtUp, at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        _ = core.handle(.report(report("h1", 2, .accepted(requirements: requirements))), at: .second(2))
        let effects = core.handle(.targetChecked(order.id, []), at: .second(3))
        guard case .append(let report)? = effects.first(where: { if case .append = $0 { true } else { false } }) else {
            Issue.record("no consent: \(effects)")
            return
        }
        #expect(report.step == .prepared() && report.takesOverAutostart == true)
    }

    @Test func `a clock that is ahead at the start does not make an order old`() {
        #expect(read("h2", done, newestRecord: 20, at: 300_000_000).1 == [set])
        // A record of the future does not, either.
        #expect(read("h2", done, newestRecord: 300_000_000, at: 20).1 == [set])
    }

    @Test func `while the target may run the VM, too, the source's copy does not start with its host`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        for step in [.accepted(requirements: requirements), .running(progress: progress), failed(.at(h1))] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        let effects = core.handle(.caughtUp, at: .second(20)) + core.handle(.tick, at: .second(21))
        #expect(effects == [.look(order)])
        _ = core.handle(.looked(order.id, .seen(.running)), at: .second(21))
        _ = core.handle(.appended(.written), at: .second(21))
        let answer = OrderStep.answered(presence: .absent, question: .second(21))
        _ = core.handle(.report(report("h2", 22, answer)), at: .second(22))
        #expect(core.handle(.looked(order.id, .seen(.running)), at: .second(22)) == [set])
    }

    @Test func `the next move takes over an autostart that could not be set yet`() throws {
        var (core, _) = read("h2", done)
        var next = order
        (next.id, next.source, next.target) = (OrderID("o2"), h2, h1)
        next.issuedAt = .second(20)
        #expect(core.handle(.order(.migrate(order: next)), at: .second(21)) == [.readRequirements(next)])
        let effects = core.handle(.requirementsRead(next.id, .success(.sample())), at: .second(22))
        guard case .append(let report)? = effects.first, case .accepted(let needs) = report.step else {
            Issue.record("not accepted: \(effects)")
            return
        }
        #expect(needs.startsWithHost == true)
    }
}
