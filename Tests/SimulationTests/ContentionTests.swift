// SPDX-License-Identifier: Apache-2.0
import Balancing
import Coordination
import Fleet
import Testing

@testable import Simulation

/// The distribution of a host's CPU among its VMs.
struct ContentionTests {
    private func world(cores: Double, _ vms: [VMLoad]) throws -> World {
        let settings = SmallWorld.settings(
            hosts: [SmallWorld.host(1, cores: cores)],
            vms: vms,
            placement: vms.map { _ in 0 },
            duration: .seconds(100)
        )
        let world = World(settings)
        try world.run()
        return world
    }

    @Test func `an overloaded host serves each VM in proportion to its demand`() throws {
        // Demand is 3 and 5 cores, 4 are available: each gets half.
        let world = try world(
            cores: 4,
            [SmallWorld.vm(1, vcpus: 4, share: 0.75), SmallWorld.vm(2, vcpus: 8, share: 0.625)]
        )
        let copies = world.hosts[0].copies
        #expect(abs(copies[0].cpuSeconds - 150) < 1e-6)
        #expect(abs(copies[1].cpuSeconds - 250) < 1e-6)
        #expect(abs(copies[0].waitedSeconds - 150) < 1e-6)
        #expect(abs(world.measures.wantedCoreSeconds - 800) < 1e-6)
        #expect(abs(world.measures.unservedCoreSeconds - 400) < 1e-6)
        #expect(abs(world.measures.unservedShare - 0.5) < 1e-9)
        #expect(abs(world.measures.overloadedSeconds - 100) < 1e-6)
        #expect(abs(world.measures.longestOverload - 100) < 1e-6)
        #expect(world.measures.points.allSatisfy { $0.largest == 2 && $0.overloadedHosts == 1 })
    }

    @Test func `a host with spare cores serves every VM fully`() throws {
        let world = try world(cores: 4, [SmallWorld.vm(1, vcpus: 4, share: 0.75), SmallWorld.vm(2, share: 0.5)])
        #expect(abs(world.measures.wantedCoreSeconds - 400) < 1e-6)
        #expect(world.measures.unservedCoreSeconds == 0)
        #expect(world.measures.overloadedSeconds == 0)
        #expect(world.hosts[0].waitedSeconds == 0)
    }

    @Test func `samples contain the VMs' usage and waiting time`() throws {
        let world = try world(
            cores: 4,
            [SmallWorld.vm(1, vcpus: 4, share: 0.75), SmallWorld.vm(2, vcpus: 8, share: 0.625)]
        )
        let sample = try #require(world.controller?.hosts[HostName("h1")]?.latest)
        #expect(abs((sample.cpu?.share ?? 0) - 1) < 1e-9)
        let vms = try #require(sample.vms)
        #expect(zip(vms, [1.5, 2.5]).allSatisfy { abs(($0.cpuCores ?? 0) - $1) < 1e-9 })
        #expect(zip(vms, [1.5, 2.5]).allSatisfy { abs(($0.waitingCores ?? 0) - $1) < 1e-9 })
        #expect((sample.pressure?.cpu ?? 0) > 90)
    }

    @Test func `a migration takes a core at each end`() throws {
        var settings = SmallWorld.settings(
            hosts: [SmallWorld.host(1, cores: 4), SmallWorld.host(2, cores: 4)],
            vms: [SmallWorld.vm(1, vcpus: 1, share: 0), SmallWorld.vm(2, vcpus: 4, share: 1)],
            placement: [0, 1],
            duration: .seconds(60)
        )
        settings.physics.migrationCores = 2
        let world = World(settings)
        try world.order(0, to: 1)
        try world.run()
        // 4 GB at 500 MB/s, and 31 ms until the target's copy runs: demand there is 6 cores, and the VM gets its 4.
        #expect(abs(world.measures.unservedCoreSeconds - 8.031 * 4 * (1 - 4.0 / 6)) < 0.01)
    }
}
