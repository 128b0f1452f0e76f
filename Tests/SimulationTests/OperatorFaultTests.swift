// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// Operators who act on VMs without regard to moves, and a libvirtd that is stuck; vm1 moves from h1 to h2.
struct OperatorFaultTests {
    private func world(
        _ faults: [ScheduledFault],
        _ change: (inout SimulationSettings) -> Void = { _ in }
    ) throws -> World {
        var settings = SmallWorld.ring(duration: .seconds(3600), faults: faults)
        settings.operatorActs = false
        change(&settings)
        let world = World(settings)
        try world.run(until: 0.9)
        try world.order(0, to: 1)
        return world
    }

    private func fault(_ at: Int64, lasts: Int64, _ fault: Fault) -> ScheduledFault {
        ScheduledFault(at: .seconds(at), lasts: .seconds(lasts), fault: fault)
    }

    @Test func `a copy that an operator starts beside the VM is paused, and the VM runs on`() throws {
        let world = try world([fault(40, lasts: 1, .operatorStartsCopy(host: 0))])
        try world.run(until: 40.5)
        #expect(world.places(of: 0) == [0, 1])
        try world.run(until: 70)
        #expect(world.places(of: 0) == [1])
        #expect(world.hosts[0].copy(of: 0)?.state == .paused)
    }

    @Test func `an agent that ignores a copy that an operator has started is caught`() throws {
        let world = try world([fault(40, lasts: 1, .operatorStartsCopy(host: 0))]) { $0.mutations = [.ignoresReturns] }
        let violation = #expect(throws: Violation.self) { try world.run(until: 200) }
        #expect(violation?.invariant == .runsOnce)
    }

    @Test func `a VM that an operator has stopped stays off until the operator starts it`() throws {
        let world = try world([fault(5, lasts: 60, .operatorStops(host: 0))])
        try world.run(until: 60)
        #expect(world.places(of: 0) == [] && world.hosts[0].copy(of: 0)?.state == .inactive)
        #expect(world.incarnation(OrderID("order-1"))?.stage == .failed)
        try world.run(until: 70)
        #expect(world.places(of: 0) == [0])
    }

    @Test func `a move waits for a stuck libvirtd, and the VM runs on meanwhile`() throws {
        let world = try world([fault(5, lasts: 60, .libvirtStuck(host: 1))])
        try world.run(until: 60)
        #expect(world.places(of: 0) == [0] && world.incarnation(OrderID("order-1"))?.stage == .running)
        try world.run(until: 80)
        #expect(world.places(of: 0) == [1] && world.incarnation(OrderID("order-1"))?.stage == .done)
    }

    @Test func `no agent resumes its copy because the target's libvirtd is silent`() throws {
        let world = try world([
            fault(0, lasts: 100, .answerLost(host: 0, resumes: false)),
            fault(1000, lasts: 1, .libvirtStuck(host: 1)),
        ])
        while world.places(of: 0) != [1], world.simulatedSeconds < 60 { try world.run(for: .milliseconds(20)) }
        // The target runs the VM, and its libvirtd is stuck from now on.
        world.begin(1)
        try world.run(until: 80)
        #expect(world.places(of: 0) == [1] && world.hosts[0].copy(of: 0)?.state == .pausedByMigration)
        world.end(1)
        try world.run(until: 140)
        #expect(world.places(of: 0) == [1] && world.hosts[0].copy(of: 0) == nil)
        #expect(world.incarnation(OrderID("order-1"))?.stage == .done)
    }

    @Test func `a source that boots with a clock that is ahead starts its VM once the clock is right`() throws {
        let world = try world([
            fault(0, lasts: 20, .hostLost(host: 0, phase: .memory)),
            fault(25, lasts: 120, .wrongClockAtBoot(host: 0, milliseconds: 7_200_000)),
        ])
        try world.run(until: 140)
        #expect(world.hosts[0].isUp && world.places(of: 0) == [])
        try world.run(until: 170)
        #expect(world.places(of: 0) == [0])
    }

    @Test func `a source whose earlier version does not know that its move began starts its VM after the end`() throws {
        let world = try world([
            fault(0, lasts: 100, .newerVersion(host: 0)),
            fault(0, lasts: 100, .hostLost(host: 0, phase: .memory)),
        ])
        try world.run(until: 150)
        #expect(world.places(of: 0) == [] && world.incarnation(OrderID("order-1"))?.stage == .failed)
        try world.run(until: 220)
        #expect(world.places(of: 0) == [0] && world.hosts[0].copy(of: 0)?.startsWithHost == true)
    }

    @Test(arguments: [false, true])
    func `a fleet goes on without a host that never returns`(_ isTarget: Bool) throws {
        let fault = Fault.hostGone(host: 0, phase: .memory, isTarget: isTarget)
        let world = try world([self.fault(0, lasts: 200, fault)]) { $0.operatorActs = true }
        try world.run()
        // vm1 is lost with its source, or stays there; vm2 is lost with h2.
        #expect(world.places(of: 0) == (isTarget ? [0] : []))
        #expect(!world.hosts[isTarget ? 1 : 0].isUp && world.controller?.orders[OrderID("order-1")]?.stage == .failed)
    }
}
