// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// A sealed move that has ended in doubt is pursued until the place of its VM is known.
extension SealedTests {
    /// Source and target of a released image, after the source has ended the order in doubt.
    private func inDoubt() -> (source: AgentCore, target: AgentCore) {
        let said = Self.beginning + [Self.sealed, Self.opened, Self.released]
        let reason = FailureReason.sealed(.notTakenUp(vm: order.vmName, source: h1, target: h2))
        let end = report("h1", 700, .failed(failure: OrderFailure(.inDoubt, reason, .unknown)))
        var source = core("h1", said)
        _ = source.handle(.recalled(order.id, recollection(begun: true, released: true, .absent)), at: .second(5))
        #expect(source.handle(.report(end), at: .second(700)) == [.look(order)])
        #expect(source.handle(.looked(order.id, .seen(.absent)), at: .second(700)) == [], "reported once")
        var target = core("h2", said)
        _ = target.handle(.recalled(order.id, recollection(.absent)), at: .second(5))
        _ = target.handle(.report(end), at: .second(700))
        return (source, target)
    }

    /// An operator may have started it elsewhere, from its disks.
    @Test func `a source in doubt does not take the VM back by itself`() {
        var (source, _) = inDoubt()
        let look = source.handle(.report(report("h2", 5000, .declined(reason: "d"))), at: .second(5000))
        #expect(look == [.look(order)])
        #expect(source.handle(.looked(order.id, .seen(.absent)), at: .second(5000)) == [])
        #expect(source.handle(.tick, at: .second(6000)) == [.look(order)])
    }

    @Test func `a source in doubt ends the order as done once the target runs the VM`() {
        var (source, _) = inDoubt()
        let discard = source.handle(.report(report("h2", 5000, .restored(at: .second(20)))), at: .second(5000))
        #expect(discard == [.apply(.discard, order)])
        let end = steps(source.handle(.applied(order.id, .done), at: .second(5001)))
        #expect(end.last?.isFinal == true)
        #expect(source.orders[order.id]?.stage == .done)
    }

    @Test func `a source in doubt sees that an operator has restored the VM there`() {
        var (source, _) = inDoubt()
        #expect(source.handle(.tick, at: .second(5000)) == [.look(order)])
        let end = source.handle(.looked(order.id, .seen(.running)), at: .second(5000))
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("the doubt stays: \(end)")
            return
        }
        #expect(failure.whereabouts == .at(h1))
        #expect(source.orders[order.id]?.failure == failure)
        #expect(source.handle(.tick, at: .second(5003)) == [.look(order)], "a second copy may run at the target")
    }

    @Test func `an operator settles a doubt about a sealed move`() {
        var (source, target) = inDoubt()
        let record = OrderRecord.end(id: order.id, on: h2, at: .second(5000), reason: "started there")
        for effects in [
            source.handle(.order(record), at: .second(5000)), target.handle(.order(record), at: .second(5000)),
        ] {
            #expect(!effects.contains(.takeBack(order, startsWithHost: false)) && !effects.contains(.restore(order)))
        }
        #expect(source.orders[order.id]?.stage == .done)
        #expect(source.handle(.tick, at: .second(6000)) == [])
    }

    /// It has crashed before it released the image, and an operator has started the VM at the target.
    @Test func `a source that returns leaves a VM that is stated to be at the target`() {
        let record = OrderRecord.end(id: order.id, on: h2, at: .second(5000), reason: "h1 is lost")
        var source = AgentCore(host: h1)
        _ = source.handle(.order(.migrate(order: order)), at: .second(9000))
        _ = source.handle(.order(record), at: .second(9000))
        for (host, step) in Self.beginning + [Self.sealed] {
            _ = source.handle(.report(report(host, 4, step)), at: .second(9000))
        }
        #expect(source.handle(.caughtUp, at: .second(9000)) == [])
        #expect(source.handle(.tick, at: .second(9100)) == [])
        #expect(source.orders[order.id]?.stage == .done)
    }

    @Test(arguments: [DomainPresence.running, .absent])
    func `a target in doubt restores nothing, and states what its host has`(_ presence: DomainPresence) {
        var (_, target) = inDoubt()
        let said = steps(target.handle(.looked(order.id, .seen(presence)), at: .second(5000)))
        switch said.first {
        case .restored?: #expect(presence == .running)
        case .declined?: #expect(presence == .absent)
        default: Issue.record("it states nothing: \(said)")
        }
    }

    @Test func `a doubt about a sealed move outlives a restart, and a newer move ends it`() {
        var source = AgentCore(host: h1)
        let reason = FailureReason.sealed(.notTakenUp(vm: order.vmName, source: h1, target: h2))
        _ = source.handle(.order(.migrate(order: order)), at: .second(1))
        for (host, step) in Self.beginning + [Self.sealed, Self.opened, Self.released] {
            _ = source.handle(.report(report(host, 4, step)), at: .second(5))
        }
        _ = source.handle(
            .report(report("h1", 700, .failed(failure: OrderFailure(.inDoubt, reason, .unknown)))),
            at: .second(700)
        )
        #expect(source.handle(.caughtUp, at: .second(800)) == [.recall(order)])
        #expect(source.needsTicks)
        var newer = order
        newer.id = OrderID("newer")
        newer.issuedAt = .second(900)
        newer.expires = .second(1000)
        (newer.source, newer.target) = (h2, h1)
        _ = source.handle(.order(.migrate(order: newer)), at: .second(900))
        var running = report("h2", 901, .running(progress: .beginning))
        running.order = newer.id
        _ = source.handle(.report(running), at: .second(901))
        let recalled = recollection(begun: true, released: true, .absent)
        #expect(source.handle(.recalled(order.id, recalled), at: .second(902)).contains(.forget(order)))
    }
}
