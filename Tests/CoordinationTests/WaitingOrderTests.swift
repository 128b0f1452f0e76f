// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// An order waits while another move uses the path to its target.
struct WaitingOrderTests {
    private func other(_ id: String, to target: String = "h2", notBefore: Instant? = nil) -> MigrationOrder {
        var other = order
        other.id = OrderID(id)
        other.vm = VMID("uuid-\(id)")
        other.target = HostName(target)
        other.issuer = .operator
        other.notBefore = notBefore
        return other
    }

    private func failure(of id: OrderID, in core: AgentCore) -> OrderFailure? { core.orders[id]?.failure }

    private func end(_ core: inout AgentCore, at second: Int) {
        _ = core.handle(.migrationEnded(order.id, .success(completion)), at: .second(second))
        _ = core.handle(.appended(.written), at: .second(second))
    }

    @Test func `an order waits until the path is free`() {
        var core = migratingSource()
        let second = other("o2")
        #expect(core.handle(.order(.migrate(order: second)), at: .second(5)).isEmpty)
        #expect(core.needsTicks)
        #expect(core.handle(.tick, at: .second(60)).isEmpty)
        end(&core, at: 61)
        #expect(core.handle(.tick, at: .second(62)) == [.readRequirements(second)])
    }

    @Test func `an order that has waited until its validity ended names the move that used the path`() {
        var core = migratingSource()
        let second = other("o2")
        _ = core.handle(.order(.migrate(order: second)), at: .second(5))
        _ = core.handle(.tick, at: second.expires)
        #expect(failure(of: second.id, in: core) == nil)
        _ = core.handle(.tick, at: second.expires + .seconds(1))
        let ended = failure(of: second.id, in: core)
        #expect(ended?.kind == .expired && ended?.reason == .order(.pathInUse(order.id, target: h2)))
        #expect(ended?.whereabouts == .notLooked)
    }

    @Test func `orders over the same path begin in their order, and those over other paths at once`() {
        var core = migratingSource()
        let (second, third, elsewhere) = (other("o2"), other("o3"), other("o4", to: "h3"))
        _ = core.handle(.order(.migrate(order: second)), at: .second(5))
        #expect(core.handle(.order(.migrate(order: elsewhere)), at: .second(6)) == [.readRequirements(elsewhere)])
        end(&core, at: 7)
        // It arrives after the path has become free, and before the next tick.
        #expect(core.handle(.order(.migrate(order: third)), at: .second(8)).isEmpty)
        #expect(core.handle(.tick, at: .second(9)) == [.readRequirements(second)])
        #expect(core.handle(.tick, at: .second(10)).isEmpty)
    }

    @Test func `an order that must not begin yet delays no other`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.caughtUp, at: .second(0))
        let later = other("o2", notBefore: .second(40))
        #expect(core.handle(.order(.migrate(order: later)), at: .second(1)).isEmpty)
        let now = other("o3")
        #expect(core.handle(.order(.migrate(order: now)), at: .second(2)) == [.readRequirements(now)])
        #expect(core.handle(.tick, at: .second(41)).isEmpty)
    }

    @Test func `a waiting order ends when it is cancelled`() {
        var core = migratingSource()
        let second = other("o2")
        _ = core.handle(.order(.migrate(order: second)), at: .second(5))
        _ = core.handle(.order(.cancel(id: second.id, at: .second(6), reason: "lunch")), at: .second(6))
        #expect(failure(of: second.id, in: core)?.kind == .cancelled)
        #expect(core.orders[order.id]?.stage == .running)
    }

    @Test func `a restarted agent goes on waiting`() {
        var core = AgentCore(host: h1)
        let second = other("o2")
        for order in [order, second] { _ = core.handle(.order(.migrate(order: order)), at: .second(20)) }
        for step in [.accepted(requirements: requirements), .running(progress: begin)] as [OrderStep] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        #expect(core.handle(.caughtUp, at: .second(20)) == [.look(order)])
        #expect(core.orders[second.id]?.stage == .submitted)
        _ = core.handle(
            .report(report("h1", 21, .failed(failure: OrderFailure(.interrupted, .other("here"), .at(h1))))),
            at: .second(21)
        )
        #expect(core.handle(.tick, at: .second(22)).contains(.readRequirements(second)))
    }

    @Test func `a sealed move waits for no path, and none waits for it`() {
        var core = migratingSource()
        var sealed = other("o2")
        (sealed.channel, sealed.technique) = (.sealed, .stopAndCopy)
        #expect(core.handle(.order(.migrate(order: sealed)), at: .second(5)) == [.readRequirements(sealed)])
        end(&core, at: 6)
        let third = other("o3")
        #expect(core.handle(.order(.migrate(order: third)), at: .second(7)) == [.readRequirements(third)])
    }

    // MARK: begun before, according to the journal

    @Test(arguments: [0, 1, 2])
    func `a restarted source looks for the VM of a move that its journal shows as begun`(steps: Int) {
        let history = [report("h1", 2, .accepted(requirements: requirements)), report("h2", 3, .prepared())]
        for isNoted in [false, true] {
            var core = AgentCore(host: h1)
            if isNoted { _ = core.handle(.begun([order.id]), at: .second(20)) }
            _ = core.handle(.order(.migrate(order: order)), at: .second(20))
            for report in history.prefix(steps) { _ = core.handle(.report(report), at: .second(20)) }
            let effects = core.handle(.caughtUp, at: .second(20))
            #expect(effects.contains(.look(order)) == isNoted)
            #expect((core.orders[order.id]?.stage == .failed) == (!isNoted && steps > 0))
        }
    }

    @Test(arguments: [0, 1, 2])
    func `a beginning that only the journal shows is reported again, so that all follow the search`(steps: Int) throws {
        let history = [report("h1", 2, .accepted(requirements: requirements)), report("h2", 3, .prepared())]
        var source = AgentCore(host: h1)
        _ = source.handle(.begun([order.id]), at: .second(20))
        var target = AgentCore(host: h2)
        _ = target.handle(.caughtUp, at: .second(0))
        for host in 0...1 {
            func take(_ kind: AgentCore.Event.Kind) {
                if host == 0 {
                    _ = source.handle(kind, at: .second(20))
                } else {
                    _ = target.handle(kind, at: .second(20))
                }
            }
            take(.order(.migrate(order: order)))
            for report in history.prefix(steps) { take(.report(report)) }
        }
        let written = source.handle(.caughtUp, at: .second(20)).compactMap { effect in
            if case .append(let report) = effect { report } else { nil }
        }
        let first = try #require(written.first)
        #expect(first.step == .running(progress: .beginning) && source.orders[order.id]?.startedAt == .second(20))
        _ = target.handle(.report(first), at: .second(21))
        #expect(target.orders[order.id]?.stage == .running)
        // What it finds reaches all, and an operator can end a doubt.
        let doubt = report("h1", 700, .failed(failure: OrderFailure(.inDoubt, .order(.agentRestarted), .unknown)))
        _ = target.handle(.report(doubt), at: .second(701))
        #expect(target.orders[order.id]?.stage == .failed)
        let done = report("h1", 800, .done(outcome: completion.outcome, evidence: completion.evidence))
        _ = target.handle(.report(done), at: .second(801))
        #expect(target.orders[order.id]?.stage == .done)
    }

    @Test(arguments: [false, true])
    func `a journal that is read late counts, too`(hasFailed: Bool) {
        var source = AgentCore(host: h1)
        _ = source.handle(.order(.migrate(order: order)), at: .second(20))
        if hasFailed {
            _ = source.handle(.report(report("h1", 2, .accepted(requirements: requirements))), at: .second(20))
        }
        _ = source.handle(.caughtUp, at: .second(20))
        #expect((source.orders[order.id]?.stage == .failed) == hasFailed)
        _ = source.handle(
            .requirementsRead(order.id, .failure(OrderFailure(.refused, .other("busy"), .notLooked))),
            at: .second(21)
        )
        let effects = source.handle(.begun([order.id]), at: .second(40)) + source.handle(.tick, at: .second(41))
        #expect(effects.contains(.look(order)))
    }

    @Test func `an autostart setting that the ledger has lost is reported`() {
        var source = AgentCore(host: h1)
        _ = source.handle(.begun([order.id]), at: .second(20))
        _ = source.handle(.order(.migrate(order: order)), at: .second(20))
        _ = source.handle(.caughtUp, at: .second(20))
        let end = report("h1", 30, .failed(failure: OrderFailure(.interrupted, .order(.agentRestarted), .at(h1))))
        let effects = source.handle(.report(end), at: .second(30)) + source.handle(.tick, at: .second(31))
        #expect(effects.contains(.announce(.autostartLost(order.id, vm: "vm1", .notRecorded))))
    }

    @Test func `an order that is read late does not begin again if the journal shows that it had begun`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.begun([order.id]), at: .second(0))
        _ = core.handle(.caughtUp, at: .second(0))
        let effects = core.handle(.order(.migrate(order: order)), at: .second(1)) + core.handle(.tick, at: .second(2))
        #expect(effects.contains(.look(order)) && !effects.contains(.readRequirements(order)))
    }

    @Test func `a target does not take its own journal for the source's`() {
        var core = AgentCore(host: h2)
        _ = core.handle(.begun([order.id]), at: .second(0))
        _ = core.handle(.order(.migrate(order: order)), at: .second(1))
        #expect(core.handle(.caughtUp, at: .second(1)).isEmpty)
        #expect(core.orders[order.id]?.hasUnseenBeginning == false)
    }
}
