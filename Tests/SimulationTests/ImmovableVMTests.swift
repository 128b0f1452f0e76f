// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// VMs that cannot move.
struct ImmovableVMTests {
    /// One host is overloaded by three VMs, and the others are idle.
    private func world(immovable: Set<Int>) -> World {
        var settings = SmallWorld.settings(
            hosts: (1...3).map { SmallWorld.host($0, cores: 4) },
            vms: (1...3).map { SmallWorld.vm($0, share: 0.75) },
            placement: [0, 0, 0],
            duration: .seconds(300)
        )
        settings.policy.mode = .automatic
        settings.immovableVMs = immovable
        return World(settings)
    }

    @Test func `another VM moves in place of one that cannot`() throws {
        let world = world(immovable: [0, 1])
        try world.run(until: 240)
        #expect(Set(world.invariants.asked.values.map(\.vmName)) == ["vm3"])
        #expect(world.places(of: 0) == [0] && world.places(of: 1) == [0] && world.places(of: 2) != [0])
    }

    @Test func `nothing is ordered if nothing can move`() throws {
        let world = world(immovable: [0, 1, 2])
        try world.run(until: 240)
        #expect(world.invariants.asked.isEmpty)
    }

    @Test func `the source refuses an order for a VM that cannot move`() throws {
        var settings = SmallWorld.ring()
        settings.immovableVMs = [0]
        let world = World(settings)
        let id = try world.order(0, to: 1, issuer: .operator)
        try world.run(until: 60)
        #expect(world.incarnation(id)?.failure?.preflight.map(\.reason) == [World.blocker])
        #expect(world.places(of: 0) == [0])
    }

    @Test(arguments: [UInt64(13), 29]) func `under faults, too, no VM that cannot move is ordered`(
        seed: UInt64
    ) throws {
        let settings = Torture().settings(seed: seed)
        try #require(!settings.immovableVMs.isEmpty)
        let world = World(settings)
        try world.run()
        let immovable = Set(settings.immovableVMs.map { world.vmIDs[$0] })
        #expect(!world.invariants.asked.values.contains { immovable.contains($0.vm) })
    }
}
