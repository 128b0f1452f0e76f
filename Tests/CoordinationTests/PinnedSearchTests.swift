// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// A source that searches for a second copy at a target that never answers.
struct PinnedSearchTests {
    private let failed = OrderStep.failed(failure: OrderFailure(.migration, .move(.pathLost(detail: "EOF")), .at(h1)))
    private let end = OrderRecord.end(id: order.id, on: h1, at: .second(500), reason: "h2 burned down")

    /// Returns the source's agent, which has asked the target.
    private func searching() -> AgentCore {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        for step in [.running(progress: progress), failed] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(20))
        }
        _ = core.handle(.caughtUp, at: .second(20))
        #expect(core.handle(.tick, at: .second(21)) == [.look(order)])
        _ = core.handle(.looked(order.id, .seen(.running)), at: .second(21))
        _ = core.handle(.appended(.written), at: .second(21))
        return core
    }

    private func next(_ id: String, to target: HostName, at second: Int) -> MigrationOrder {
        var next = order
        (next.id, next.target, next.issuedAt, next.expires) =
            (OrderID(id), target, .second(second), .second(second + 120))
        return next
    }

    private func isTaken(_ order: MigrationOrder, by core: inout AgentCore, at second: Int) -> Bool {
        let effects = core.handle(.order(.migrate(order: order)), at: .second(second))
        if effects.contains(.readRequirements(order)) { return true }
        _ = core.handle(.appended(.written), at: .second(second))
        return false
    }

    private func look(_ core: inout AgentCore, _ presence: DomainPresence = .running, at second: Int) {
        #expect(core.handle(.tick, at: .second(second)) == [.look(order)])
        _ = core.handle(.looked(order.id, .seen(presence)), at: .second(second))
        _ = core.handle(.appended(.written), at: .second(second))
    }

    @Test func `after an hour of silence the controller may move the VM to another host`() {
        var core = searching()
        let h3 = HostName("h3")
        look(&core, at: 3600)
        #expect(!isTaken(next("o2", to: h3, at: 3600), by: &core, at: 3600), "it is too early")
        look(&core, at: 3700)
        #expect(!isTaken(next("o3", to: h2, at: 3700), by: &core, at: 3700), "it leads to the silent host")
        #expect(isTaken(next("o4", to: h3, at: 3700), by: &core, at: 3700))
    }

    @Test func `a VM that does not run here, or a target that has answered, keeps the controller waiting`() {
        let h3 = HostName("h3")
        var core = searching()
        look(&core, .paused, at: 3700)
        #expect(!isTaken(next("o2", to: h3, at: 3700), by: &core, at: 3700))
        core = searching()
        let answer = OrderStep.answered(presence: .pausedByMigration, question: .second(21))
        _ = core.handle(.report(report("h2", 300, answer)), at: .second(300))
        _ = core.handle(.looked(order.id, .seen(.running)), at: .second(300))
        look(&core, at: 3700)
        #expect(!isTaken(next("o2", to: h3, at: 3700), by: &core, at: 3700))
    }

    /// The target has paused its copy as a second one, and the source's host was down since.
    @Test func `a definition here is kept if the target's copy is paused`() {
        var core = searching()
        look(&core, .inactive, at: 40)
        let answer = OrderStep.answered(presence: .paused, question: .second(40))
        _ = core.handle(.report(report("h2", 41, answer)), at: .second(41))
        let effects = core.handle(.looked(order.id, .seen(.inactive)), at: .second(41))
        guard case .announce(.duplicate(order.id, vm: "vm1", let failure))? = effects.first else {
            Issue.record("no alert: \(effects)")
            return
        }
        #expect(failure.reason.code == "copy-here-and-elsewhere" && effects.count == 1)
    }

    @Test func `a record that states the source ends the search`() {
        var core = searching()
        _ = core.handle(.order(end), at: .second(500))
        #expect(!core.needsTicks && core.orders[order.id]?.failure?.reason.code == "path-lost")
        #expect(isTaken(next("o2", to: h2, at: 500), by: &core, at: 501))
        // Also after a restart, which reads orders first.
        core = AgentCore(host: h1)
        for record in [.migrate(order: order), end] { _ = core.handle(.order(record), at: .second(600)) }
        for step in [.running(progress: progress), failed] {
            _ = core.handle(.report(report("h1", 2, step)), at: .second(600))
        }
        _ = core.handle(.caughtUp, at: .second(600))
        #expect(!core.needsTicks)
    }

    @Test func `a record that was written before the source's report does not end its search`() {
        var core = AgentCore(host: h1)
        for record in [.migrate(order: order), end] { _ = core.handle(.order(record), at: .second(600)) }
        for (second, step) in [(2, .running(progress: progress)), (550, failed)] as [(Int, OrderStep)] {
            _ = core.handle(.report(report("h1", second, step)), at: .second(600))
        }
        _ = core.handle(.caughtUp, at: .second(600))
        #expect(core.needsTicks)
    }

    @Test func `an agent that was down for days searches on`() {
        var core = AgentCore(host: h1)
        for day in [3, 8] {
            core = AgentCore(host: h1)
            // The newest record shows how much time has passed.
            var ofOthers = order
            (ofOthers.id, ofOthers.source, ofOthers.target) = (OrderID("others"), HostName("h8"), HostName("h9"))
            (ofOthers.vm, ofOthers.issuedAt) = (VMID("others"), .second(day * 86400))
            for record in [order, ofOthers] {
                _ = core.handle(.order(.migrate(order: record)), at: .second(day * 86400))
            }
            for step in [.running(progress: progress), failed] {
                _ = core.handle(.report(report("h1", 2, step)), at: .second(day * 86400))
            }
            _ = core.handle(.caughtUp, at: .second(day * 86400))
            #expect(core.needsTicks == (day == 3))
        }
    }
}
