// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// An order is valid within its time, once, and for the VM's definition at the time of the order.
struct OrderValidityTests {
    private func caughtUp() -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        return core
    }

    private func failure(in effects: [AgentCore.Effect]) -> OrderFailure? {
        for case .append(let report) in effects { if case .failed(let failure) = report.step { return failure } }
        return nil
    }

    @Test func `an expired order is refused`() {
        var core = caughtUp()
        #expect(core.handle(.order(.migrate(order: order)), at: .second(120)) == [.readRequirements(order)])
        var late = caughtUp()
        let effects = late.handle(.order(.migrate(order: order)), at: .second(121))
        #expect(effects.count == 1 && failure(in: effects)?.kind == .expired)
    }

    @Test func `an order whose technique does not match its channel is refused`() {
        var core = caughtUp()
        var other = order
        other.technique = .stopAndCopy
        let refused = failure(in: core.handle(.order(.migrate(order: other)), at: .second(1)))
        #expect(refused?.kind == .refused && refused?.text.contains("ipsec moves a VM by preCopy") == true)
        other.channel = .sealed
        var sealed = caughtUp()
        #expect(sealed.handle(.order(.migrate(order: other)), at: .second(1)) == [.readRequirements(other)])
    }

    @Test func `a future date does not extend the retention of an unknown order's report`() {
        var core = caughtUp()
        var ahead = report("h2", 5_000_000, .prepared())
        ahead.order = OrderID("made up")
        _ = core.handle(.report(ahead), at: .second(1))
        #expect(core.others.count == 1)
        _ = core.handle(.tick, at: .second(3_000))
        #expect(core.others.count == 1)
        _ = core.handle(.tick, at: .second(3_602))
        #expect(core.others.isEmpty)
    }

    @Test func `an order is used once, also across restarts`() {
        var first = caughtUp()
        _ = first.handle(.order(.migrate(order: order)), at: .second(1))
        _ = first.handle(.requirementsRead(order.id, .success(requirements)), at: .second(2))
        _ = first.handle(.appended(.written), at: .second(2))
        _ = first.handle(.report(report("h2", 3, .prepared())), at: .second(4))
        #expect(first.handle(.appended(.written), at: .second(4)) == [.migrate(order, preparation)])
        _ = first.handle(.migrationEnded(order.id, .success(completion)), at: .second(9))
        _ = first.handle(.appended(.written), at: .second(9))
        #expect(first.handle(.order(.migrate(order: order)), at: .second(10)).isEmpty)
        // Its VM may return at any time, so this run remembers it.
        _ = first.handle(.tick, at: .second(700_000))
        #expect(first.handle(.order(.migrate(order: order)), at: .second(700_001)).isEmpty)

        var second = AgentCore(host: h1)
        let done = OrderStep.done(outcome: completion.outcome, evidence: completion.evidence)
        _ = second.handle(.order(.migrate(order: order)), at: .second(11))
        for step in [.accepted(requirements: requirements), .running(progress: begin), done] {
            _ = second.handle(.report(report("h1", 5, step)), at: .second(11))
        }
        #expect(second.handle(.caughtUp, at: .second(11)).isEmpty)
        #expect(second.handle(.order(.migrate(order: order)), at: .second(12)).isEmpty, "replayed after the restart")
        #expect(second.handle(.tick, at: .second(13)).isEmpty)
    }

    @Test func `an order slightly ahead waits, and one far ahead is refused`() {
        var early = order
        early.notBefore = .second(30)
        var core = caughtUp()
        #expect(core.handle(.order(.migrate(order: early)), at: .second(1)).isEmpty)
        #expect(core.needsTicks)
        #expect(core.handle(.tick, at: .second(29)).isEmpty)
        #expect(core.handle(.tick, at: .second(30)) == [.readRequirements(early)])
        early.notBefore = .second(62)
        var other = caughtUp()
        let refused = failure(in: other.handle(.order(.migrate(order: early)), at: .second(1)))
        #expect(refused?.kind == .refused && refused?.text.contains("must not begin for another 61") == true)
    }

    @Test func `an order for another definition of the VM, or for none, is refused`() {
        for (ordered, found, isRefused) in [
            ("d1", "d1", false), (nil, nil, false), ("d1", "d2", true), (nil, "d1", true), ("d1", nil, true),
        ] as [(String?, String?, Bool)] {
            var given = order
            given.definition = ordered
            var needs = requirements
            needs.definition = found
            var core = caughtUp()
            _ = core.handle(.order(.migrate(order: given)), at: .second(1))
            let effects = core.handle(.requirementsRead(order.id, .success(needs)), at: .second(2))
            #expect((failure(in: effects)?.kind == .refused) == isRefused)
            if isRefused, ordered != nil, found != nil {
                #expect(failure(in: effects)?.text.contains("definition changed after the move was ordered") == true)
            }
        }
    }

    @Test func `the controller's orders name the newest definition and their earliest beginning`() {
        var core = inControl(Policy())
        var orders: [MigrationOrder] = []
        for second in [5, 10, 15] {
            overload(&core, at: second, definition: "digest-\(second)")
            orders += core.handle(.tick(at: .second(second), identifier: "d\(second)")).compactMap(\.order)
        }
        #expect(orders.map(\.definition) == ["digest-15"] && orders.map(\.notBefore) == [.second(15)])
    }
}
