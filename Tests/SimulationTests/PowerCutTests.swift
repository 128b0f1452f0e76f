// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// The target of a move loses power after it has taken the VM over; vm1 moves from h1 to h2.
struct PowerCutTests {
    /// Returns a world in which the VM has just begun to run on h2.
    private func arrived(_ mutations: Set<Mutation> = []) throws -> World {
        var settings = SmallWorld.ring(duration: .seconds(600))
        settings.mutations = mutations
        let world = World(settings)
        try world.run(until: 0.9)
        try world.order(0, to: 1)
        while world.places(of: 0) != [1], world.simulatedSeconds < 60 { try world.run(for: .milliseconds(20)) }
        return world
    }

    @Test func `a definition that is lost before it is synced is reported, and restored by the operator`() throws {
        let world = try arrived()
        var lines: [String] = []
        world.log = { lines.append($0) }
        world.cutPower(of: 1)
        try world.run(for: .seconds(10))
        #expect(world.hosts.allSatisfy { $0.copy(of: 0) == nil })
        #expect(world.incarnation(OrderID("order-1"))?.stage == .running)
        try world.run(for: .seconds(20))
        #expect(world.incarnation(OrderID("order-1"))?.stage == .done)
        #expect(lines.contains { $0.contains("h2 has not confirmed that the definition of vm1 is on its disk") })
        try world.run(for: .seconds(150))
        #expect(world.places(of: 0) == [1] && world.hosts[1].copy(of: 0)?.startsWithHost == true)
    }

    @Test func `a definition that the target has synced survives the power cut`() throws {
        let world = try arrived()
        #expect(world.hosts[1].unsynced[0] != nil)
        while world.hosts[1].unsynced[0] != nil, world.simulatedSeconds < 60 { try world.run(for: .milliseconds(20)) }
        #expect(world.incarnation(OrderID("order-1"))?.stage == .running)
        world.cutPower(of: 1)
        try world.run(for: .seconds(1))
        #expect(world.hosts[0].copy(of: 0) == nil && world.hosts[1].copy(of: 0)?.state == .inactive)
    }

    @Test func `another crash of the target takes no definition`() throws {
        let world = try arrived()
        world.crash(1)
        try world.run(for: .seconds(1))
        #expect(world.hosts[1].copy(of: 0)?.state == .inactive)
    }

    @Test func `a source that does not wait for the confirmation is caught`() throws {
        let world = try arrived([.endsUnconfirmed])
        world.cutPower(of: 1)
        let violation = #expect(throws: Violation.self) { try world.run(for: .seconds(100)) }
        #expect(violation?.invariant == .kept)
    }
}
