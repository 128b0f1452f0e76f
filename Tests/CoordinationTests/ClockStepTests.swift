// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Coordination

/// A host whose wall clock is set while its orders wait: only the time that has passed counts.
struct ClockStepTests {
    /// An agent, and its two clocks in seconds.
    private struct Agent {
        var core: AgentCore
        var uptime = 0
        var ahead = 0

        mutating func handle(_ kind: AgentCore.Event.Kind, after seconds: Int = 0, step: Int = 0) -> [AgentCore.Effect]
        {
            uptime += seconds
            ahead += step
            return core.handle(kind, at: .second(20 + uptime + ahead), uptime: .seconds(uptime))
        }
    }

    /// Returns a source whose previous incarnation began to move the VM 18 s ago.
    private func inheriting() -> Agent {
        var agent = Agent(core: AgentCore(host: h1))
        _ = agent.handle(.order(.migrate(order: order)))
        _ = agent.handle(.report(report("h1", 2, .running(progress: progress))))
        #expect(agent.handle(.caughtUp) == [.look(order)])
        return agent
    }

    @Test(arguments: [0, 3600, 40 * 3600, -3600])
    func `an inherited move is cancelled after its limit, whatever the clock`(
        step: Int
    ) {
        var agent = inheriting()
        _ = agent.handle(.looked(order.id, .seen(.migratingOut)), after: 1)
        let early = agent.handle(.tick, after: 1, step: step)
        #expect(!early.contains(.cancelMigration(order)))
        #expect(!agent.handle(.tick, after: 3570).contains(.cancelMigration(order)))
        #expect(agent.handle(.tick, after: 20).contains(.cancelMigration(order)))
    }

    @Test func `a step forward does not end an inquiry in doubt`() {
        var agent = inheriting()
        for (seconds, step) in [(1, 0), (1, 660), (60, 0), (60, 86400)] {
            let effects = agent.handle(.tick, after: seconds, step: step)
            if effects.contains(.look(order)) { _ = agent.handle(.looked(order.id, .seen(.absent))) }
            _ = agent.handle(.looked(order.id, .silent("libvirt does not answer")))
            #expect(agent.core.orders[order.id]?.stage == .running)
        }
        // The time that has passed does.
        for _ in 0..<20 {
            _ = agent.handle(.tick, after: 61)
            _ = agent.handle(.looked(order.id, .silent("libvirt does not answer")))
        }
        #expect(agent.core.orders[order.id]?.failure?.kind == .inDoubt)
    }

    @Test func `a target waits for its source after a step forward`() {
        var agent = Agent(core: AgentCore(host: h2))
        _ = agent.handle(.caughtUp)
        _ = agent.handle(.order(.migrate(order: order)))
        // The order may begin until second 150, and 300 s of silence are allowed.
        _ = agent.handle(.tick, after: 1, step: 600)
        _ = agent.handle(.tick, after: 420)
        #expect(agent.core.orders[order.id]?.stage == .submitted)
        _ = agent.handle(.tick, after: 30)
        #expect(agent.core.orders[order.id]?.failure?.kind == .expired)
    }

    @Test func `without a monotonic clock only a step back is compensated`() {
        var core = AgentCore(host: h1)
        _ = core.handle(.order(.migrate(order: order)), at: .second(20))
        _ = core.handle(.report(report("h1", 2, .running(progress: progress))), at: .second(20))
        _ = core.handle(.caughtUp, at: .second(20))
        _ = core.handle(.looked(order.id, .seen(.migratingOut)), at: .second(21))
        #expect(!core.handle(.tick, at: .second(-3600)).contains(.cancelMigration(order)))
        #expect(core.handle(.tick, at: .second(100)).contains(.cancelMigration(order)))
    }
}
