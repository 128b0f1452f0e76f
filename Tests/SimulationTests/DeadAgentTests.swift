// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A move that leaves two running copies, and a source whose agent dies before it asks about them.
struct DeadAgentTests {
    /// Returns a world in which h1's agent dies after the failed move of vm1 to h2.
    private func world(mutations: Set<Mutation> = []) throws -> World {
        let fault = ScheduledFault(at: .milliseconds(500), lasts: .seconds(300), fault: .agentDies(host: 0))
        var settings = SmallWorld.ring(duration: .seconds(600), faults: [fault])
        settings.mutations = mutations
        settings.operatorActs = false
        let world = World(settings)
        try world.run(until: 0.9)
        try world.order(0, to: 1)
        return world
    }

    @Test func `the target pauses its copy, and the source keeps the VM when its agent is back`() throws {
        let world = try world()
        try world.run(until: 30)
        #expect(world.places(of: 0) == [0, 1] && world.agents[0].core == nil)
        try world.run(until: 120)
        #expect(world.places(of: 0) == [0])
        #expect(world.hosts[1].copy(of: 0)?.state == .paused && world.hosts[1].copy(of: 0)?.startsWithHost == false)
        try world.run(until: 500)
        #expect(world.agents[0].core != nil && world.places(of: 0) == [0])
        #expect(world.hosts[0].copy(of: 0)?.startsWithHost == true)
    }

    @Test func `a target that leaves both copies running is caught`() throws {
        let world = try world(mutations: [.keepsCopies])
        let violation = #expect(throws: Violation.self) { try world.run(until: 200) }
        #expect(violation?.invariant == .runsOnce)
    }
}
