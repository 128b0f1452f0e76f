// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A host that crashes during its move and stays away, and an operator who ends the order.
struct LostHostTests {
    /// Returns a world in which h1 is lost in this phase of the move of vm1 to h2.
    private func world(
        _ phase: MigrationPhase,
        lasts: Duration,
        mutations: Set<Mutation> = []
    ) throws -> (world: World, order: OrderID) {
        let fault = ScheduledFault(at: .milliseconds(500), lasts: lasts, fault: .hostLost(host: 0, phase: phase))
        var settings = SmallWorld.ring(duration: .seconds(3600), faults: [fault])
        settings.mutations = mutations
        let world = World(settings)
        try world.run(until: 0.9)
        let order = try world.order(0, to: 1)
        return (world, order)
    }

    private func stages(_ order: OrderID, in world: World) -> [OrderState.Stage?] {
        world.agents.dropFirst().map { $0.core?.orders[order]?.stage } + [world.controller?.orders[order]?.stage]
    }

    @Test func `a VM that has arrived can move on, although its source never returns`() throws {
        let (world, order) = try world(.confirm, lasts: .seconds(3500))
        try world.run(until: 60)
        #expect(world.places(of: 0) == [1] && !world.hosts[0].isUp)
        #expect(stages(order, in: world) == [.running, nil, .running])
        try world.run(until: 120)
        #expect(stages(order, in: world) == [.done, nil, .done])
        let onward = try world.order(0, to: 2)
        try world.run(until: 180)
        #expect(world.places(of: 0) == [2] && world.controller?.orders[onward]?.stage == .done)
    }

    @Test func `a VM that was lost with its host leaves no promise at the target`() throws {
        let (world, order) = try world(.memory, lasts: .seconds(3500))
        try world.run(until: 120)
        #expect(world.places(of: 0) == [] && world.hosts[1].copy(of: 0) == nil)
        #expect(stages(order, in: world) == [.failed, nil, .failed])
        #expect(world.controller?.orders[order]?.failure?.whereabouts == .at(world.hostNames[0]))
    }

    @Test(arguments: MigrationPhase.allCases)
    func `a host that returns after the end keeps no second copy`(_ phase: MigrationPhase) throws {
        let (world, order) = try world(phase, lasts: .seconds(300))
        try world.run()
        let place = phase == .confirm ? 1 : 0
        #expect(world.places(of: 0) == [place])
        #expect(world.hosts[1 - place].copy(of: 0) == nil)
        #expect(world.controller?.orders[order]?.stage == (phase == .confirm ? .done : .failed))
        #expect(world.hosts[place].copy(of: 0)?.startsWithHost == true)
    }

    @Test func `a definition that a power cut brings back on a host that never returns is not counted`() throws {
        // The end of a run is judged only if it has faults.
        let scene = Scene(
            faults: [ScheduledFault(at: .seconds(30), lasts: .seconds(1), fault: .controllerCrash)],
            offVMs: [0],
            offlineOrders: [SimulationSettings.OfflineOrder(at: .seconds(1), vm: 0, target: 1)]
        ) { (world: World) throws(Violation) in
            while world.hosts[0].copy(of: 0) != nil, world.simulatedSeconds < 20 {
                try world.run(for: .milliseconds(20))
            }
            world.lose(0, by: .hostGone(host: 0, phase: .memory, isTarget: false))
            #expect(world.hosts[0].copy(of: 0)?.state == .inactive)
            try world.run()
        }
        #expect(scene.violation(mutations: []) == nil)
    }

    @Test func `an agent that ignores the end is caught`() throws {
        let (world, _) = try world(.confirm, lasts: .seconds(3500), mutations: [.ignoresEnds])
        let violation = #expect(throws: Violation.self) { try world.run(until: 200) }
        #expect(violation?.invariant == .released)
    }
}
