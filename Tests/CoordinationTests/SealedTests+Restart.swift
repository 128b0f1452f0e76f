// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// Sealed moves whose source or target is restarted.
extension SealedTests {
    func recollection(
        begun: Bool = false,
        released: Bool = false,
        started: Bool = false,
        _ presence: DomainPresence = .inactive
    ) -> AgentCore.Answer<Recollection> {
        .success(Recollection(hasBegun: begun, hasReleased: released, hasStarted: started, presence: presence))
    }

    @Test func `a restarted source takes back an unreleased VM and waits for a late save`() {
        var core = core("h1", Self.beginning)
        #expect(core.handle(.tick, at: .second(6)) == [], "its journal entries are being read")
        #expect(
            core.handle(.recalled(order.id, recollection(begun: true)), at: .second(6)) == [
                .takeBack(order, startsWithHost: false)
            ]
        )
        // At once, and again until a save of the previous run can no longer complete.
        #expect(core.handle(.restored(order.id, .success(.second(6))), at: .second(6)) == [])
        #expect(core.handle(.tick, at: .second(20)) == [.takeBack(order, startsWithHost: false)])
        #expect(core.handle(.restored(order.id, .success(.second(20))), at: .second(20)) == [])
        #expect(core.handle(.tick, at: .second(50)) == [.takeBack(order, startsWithHost: false)])
        let end = core.handle(.restored(order.id, .success(.second(50))), at: .second(50))
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("not reported: \(end)")
            return
        }
        #expect(failure.whereabouts == .at(h1) && end.first == .forget(order, belongsHere: true))
    }

    /// Holds for any state of the ledger: a line of the source may be missing there.
    @Test(arguments: 1...5) func `a restarted source never takes back a VM that it released`(read: Int) {
        let said = Self.beginning + [Self.sealed, Self.opened]
        var core = core("h1", Array(said.prefix(read)))
        let effects = core.handle(.recalled(order.id, recollection(begun: true, released: true)), at: .second(6))
        #expect(
            steps(effects).allSatisfy { $0.isProgress || $0 == .released }
                && !effects.contains(.takeBack(order, startsWithHost: false))
        )
        for second in stride(from: 7, to: 500, by: 3) {
            let effects = core.handle(.tick, at: .second(second))
            #expect(!effects.contains(.takeBack(order, startsWithHost: false)))
            for effect in effects {
                switch effect {
                case .append: _ = core.handle(.appended(.written), at: .second(second))
                case .look:
                    let observation = CopyObservation.seen(.inactive)
                    #expect(core.handle(.looked(order.id, observation), at: .second(second)) == [])
                default: Issue.record("unexpected: \(effect)")
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func `a record that states the source ends its search, and not its handover, in any order of the records`(
        isReadFirst: Bool
    ) {
        let end = OrderRecord.end(id: order.id, on: h1, at: .second(9), reason: "h2 is lost")
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("test"), .at(h1)))
        for isOver in [true, false] {
            var core = AgentCore(host: h1)
            _ = core.handle(.order(.migrate(order: order)), at: .second(10))
            if isReadFirst { _ = core.handle(.order(end), at: .second(10)) }
            for (host, step) in Self.beginning + (isOver ? [("h1", failed)] : []) {
                _ = core.handle(.report(report(host, 5, step)), at: .second(10))
            }
            if !isReadFirst { _ = core.handle(.order(end), at: .second(10)) }
            _ = core.handle(.caughtUp, at: .second(10))
            #expect(core.needsTicks == !isOver)
            #expect(core.orders[order.id]?.stage == (isOver ? .failed : .running))
        }
    }

    /// For example, the ledger was rolled back to a time before the order was accepted.
    @Test func `the journal supplies what the ledger does not show`() {
        var core = core("h1")
        let effects = core.handle(.recalled(order.id, recollection(begun: true)), at: .second(6))
        #expect(
            effects.contains(.takeBack(order, startsWithHost: false)) && !effects.contains(.readRequirements(order))
        )
        var fresh = self.core("h1")
        let first = fresh.handle(.recalled(order.id, recollection(.running)), at: .second(6))
        #expect(first == [.readRequirements(order)])
        // A previous run found the VM not running, possibly because of the save.
        let failure = OrderFailure(.refused, .other("it is not running"), .notLooked)
        var over = AgentCore(host: h1)
        _ = over.handle(.order(.migrate(order: order)), at: .second(1))
        _ = over.handle(.report(report("h1", 2, .failed(failure: failure))), at: .second(5))
        #expect(over.handle(.caughtUp, at: .second(5)) == [], "its image may be all there is of the VM")
    }

    @Test func `a journal that stays unreadable ends the order in doubt`() {
        var core = core("h1", Self.beginning)
        let failure = OrderFailure(.inDoubt, .other("damaged"), .unknown)
        var end: [AgentCore.Effect] = core.handle(.recalled(order.id, .failure(failure)), at: .second(6))
        #expect(end == [])
        for second in stride(from: 8, to: 700, by: 3) where end.isEmpty {
            guard core.handle(.tick, at: .second(second)) == [.recall(order)] else { continue }
            end = core.handle(.recalled(order.id, .failure(failure)), at: .second(second))
        }
        guard case .failed(let said)? = steps(end).first else {
            Issue.record("never given up")
            return
        }
        #expect(said.kind == .inDoubt && !end.contains(.forget(order)))
    }

    @Test(arguments: [DomainPresence.running, .inactive])
    func `a restarted source reports a move that it had not begun`(_ presence: DomainPresence) {
        var core = core("h1", Array(Self.beginning.prefix(2)))
        let end = core.handle(.recalled(order.id, recollection(presence)), at: .second(6))
        guard case .failed(let failure)? = steps(end).first else {
            Issue.record("not reported: \(end)")
            return
        }
        let runs = presence == .running
        #expect(failure.kind == (runs ? .interrupted : .inDoubt) && failure.whereabouts == (runs ? .at(h1) : .unknown))
    }

    @Test func `a target that reads an order late still answers it`() {
        var core = core("h2", Array(Self.beginning.prefix(1)))
        #expect(core.handle(.tick, at: .second(6)) == [])
        let consent = core.handle(.targetChecked(order.id, [], sealingKey: "key"), at: .second(6))
        #expect(steps(consent) == [.prepared(sealingKey: "key")])
    }

    @Test func `a restarted target declines without the key`() {
        for read in 2...5 {
            var core = core("h2", Array((Self.beginning + [Self.sealed, Self.opened]).prefix(read)))
            let effects = core.handle(.recalled(order.id, recollection(.absent)), at: .second(6))
            guard case .declined? = steps(effects).first, effects.first == .forget(order) else {
                Issue.record("not declined: \(effects)")
                return
            }
        }
    }

    /// The target's memory is promised to the VM until then.
    @Test func `a target whose source dies during the save declines after the longest time for it`() {
        var core = core("h2", Array(Self.beginning.prefix(1)))
        _ = core.handle(.tick, at: .second(6))
        _ = core.handle(.targetChecked(order.id, [], sealingKey: "key"), at: .second(6))
        _ = core.handle(.appended(.written), at: .second(6))
        _ = core.handle(.report(report("h1", 7, .running(progress: begin))), at: .second(7))
        // The order may begin until second 120; save and encryption may take an hour each.
        for second in stride(from: 8, through: 7380, by: 60) { #expect(core.handle(.tick, at: .second(second)) == []) }
        let effects = core.handle(.tick, at: .second(7500))
        guard case .declined? = steps(effects).first, effects.first == .forget(order) else {
            Issue.record("not declined: \(effects)")
            return
        }
        _ = core.handle(.appended(.written), at: .second(7500))
        #expect(core.handle(.tick, at: .second(7600)) == [], "it is reported once")
        // Another VM is promised nothing less than all of the memory.
        var other = order
        other.id = OrderID("other")
        other.vm = VMID("dddddddd-0000-4000-8000-00000000000d")
        (other.issuedAt, other.expires) = (.second(7600), .second(7700))
        _ = core.handle(.order(.migrate(order: other)), at: .second(7600))
        var accepted = report("h1", 7601, .accepted(requirements: requirements))
        accepted.order = other.id
        let check = core.handle(.report(accepted), at: .second(7601))
        #expect(check == [.checkTarget(other, requirements, promisedBytes: 0)])
    }
}
