// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// Manually calculated migrations: 0.2 s to prepare, then memory at 500 MB/s, 1 ms to stop, 30 ms to hand over
/// and 50 ms to confirm.
struct MigrationPhysicsTests {
    private func world(
        _ vms: [VMLoad],
        duration: Duration = .seconds(120),
        migrationLimit: Duration = .seconds(600)
    ) -> World {
        var settings = SmallWorld.settings(
            hosts: (1...3).map { SmallWorld.host($0) },
            vms: vms,
            placement: vms.map { _ in 0 },
            duration: duration
        )
        settings.physics.migrationLimit = migrationLimit
        return World(settings)
    }

    @Test func `the iterations of a move determine its time and bytes`() throws {
        // Half busy, it dirties 50 MB/s: 4 GB in 8 s leave 400 MB, which in 0.8 s leave 40 MB, which take 80 ms.
        let world = world([SmallWorld.vm(1, share: 0.5, dirtyBytesPerSecond: 100e6)])
        let order = try world.order(0, to: 1)
        try world.run()
        let outcome = try #require(world.incarnation(order)?.outcome)
        #expect(outcome.bytesTransferred == 4_440_000_000)
        #expect(outcome.iterations == 2)
        #expect(abs((outcome.totalSeconds ?? 0) - 9.161) < 0.003)
        #expect(abs((outcome.downtimeSeconds ?? 0) - 0.16) < 0.002)
        #expect(world.measures.migratedBytes == 4.44e9)
        #expect(world.measures.migrations == 1)
        #expect(world.places(of: 0) == [1])
    }

    @Test func `demand during the downtime is unserved, and nothing else is lost`() throws {
        let world = world([SmallWorld.vm(1, share: 0.5, dirtyBytesPerSecond: 100e6)])
        try world.order(0, to: 1)
        try world.run()
        // One core, from the source's stop until the target runs: 80 ms to send and 30 ms to hand over.
        #expect(abs(world.measures.unservedCoreSeconds - 0.11) < 0.002)
        #expect(abs(world.measures.wantedCoreSeconds - 120) < 0.001, "demand does not depend on the host")
    }

    @Test func `an iteration sends no more than the working set`() throws {
        // 200 MB/s for 8 s would be 1.6 GB; its working set is 100 MB, which takes 0.2 s.
        let vm = SmallWorld.vm(1, share: 1, dirtyBytesPerSecond: 200e6, workingSetBytes: 100_000_000)
        let world = world([vm])
        let order = try world.order(0, to: 1)
        try world.run()
        let outcome = try #require(world.incarnation(order)?.outcome)
        #expect(outcome.bytesTransferred == 4_100_000_000)
        #expect(outcome.iterations == 1)
    }

    /// 800 MB/s on a link of 500 MB/s.
    private let hasty = SmallWorld.vm(1, share: 1, dirtyBytesPerSecond: 800e6, workingSetBytes: 2_000_000_000)

    @Test func `a guest that dirties faster than the link converges only by throttling`() throws {
        let world = world([hasty])
        let order = try world.order(0, to: 1)
        try world.run()
        var (left, bytes, seconds, throttle, iterations, lost) = (4e9, 0.0, 0.0, 0.0, 0, 0.0)
        repeat {
            let time = left / 500e6
            bytes += left
            seconds += time
            lost += 2 * throttle * time
            iterations += 1
            let dirtied = min(2e9, 800e6 * (1 - throttle) * time)
            if iterations > 1, dirtied > left / 2 { throttle = throttle == 0 ? 0.2 : throttle + 0.1 }
            left = dirtied
        } while left / 500e6 > 0.3
        let outcome = try #require(world.incarnation(order)?.outcome)
        #expect(throttle > 0.5)
        #expect(outcome.iterations == iterations)
        #expect(abs(Double(outcome.bytesTransferred ?? 0) - bytes - left) < 0.02e9)
        #expect(abs((outcome.totalSeconds ?? 0) - seconds - left / 500e6 - 0.281) < 0.05)
        // Demand is two cores: the throttled part counts, like downtime.
        #expect(abs(world.measures.unservedCoreSeconds - lost - 2 * (left / 500e6 + 0.03)) < 0.1)
        #expect(world.measures.unservedCoreSeconds > 10)
        #expect(abs(world.measures.wantedCoreSeconds - 240) < 0.01)
        #expect(world.hosts[1].copies.map(\.throttle) == [0])
    }

    @Test func `a guest that does not converge in time stays`() throws {
        let world = world([hasty], migrationLimit: .seconds(20))
        let order = try world.order(0, to: 1)
        try world.run()
        let failure = try #require(world.incarnation(order)?.failure)
        #expect(failure.text == "the migration reached its time limit")
        #expect(failure.whereabouts == .at(HostName("h1")))
        #expect(world.places(of: 0) == [0])
        #expect(world.measures.failedMigrations == 1)
        #expect(world.hosts[0].copies.map(\.throttle) == [0])
        #expect(world.hosts[1].copies.isEmpty, "the target lets go of its copy")
        #expect(world.hosts.allSatisfy { $0.transfers == 0 })
    }

    @Test func `two moves share the link of their source`() throws {
        // 6 GB and 3 GB at 250 MB/s each: the second ends after 12 s, and the first sends its last 3 GB in 6 s.
        let world = world([
            SmallWorld.vm(1, memoryBytes: 6_000_000_000), SmallWorld.vm(2, memoryBytes: 3_000_000_000),
        ])
        let first = try world.order(0, to: 1)
        let second = try world.order(1, to: 2)
        try world.run()
        let (one, other) = (
            try #require(world.incarnation(first)?.outcome), try #require(world.incarnation(second)?.outcome)
        )
        #expect(abs((one.totalSeconds ?? 0) - 18.3) < 0.2)
        #expect(abs((other.totalSeconds ?? 0) - 12.3) < 0.2)
        #expect(world.measures.migratedBytes == 9e9)
    }

    @Test func `a move back within an hour is a ping-pong`() throws {
        let world = world([SmallWorld.vm(1)], duration: .seconds(600))
        try world.order(0, to: 1)
        try world.run(until: 300)
        try world.order(0, to: 0)
        try world.run(until: 590)
        #expect(world.measures.migrations == 2 && world.measures.pingPong == 1)
        #expect(world.places(of: 0) == [0])
    }

    @Test func `a hung move continues when its own hang ends`() throws {
        let faults = [(0, 30), (1, 50)].map { host, seconds in
            ScheduledFault(at: .zero, lasts: .seconds(seconds), fault: .migrationHangs(host: host))
        }
        let world = World(SmallWorld.ring(duration: .seconds(3600), faults: faults))
        let orders = [try world.order(0, to: 1), try world.order(1, to: 2)]
        try world.run()
        let seconds = try orders.map { try #require(world.incarnation($0)?.outcome?.totalSeconds) }
        #expect((30.0...38).contains(seconds[0]) && (50.0...56).contains(seconds[1]), "\(seconds)")
    }

    @Test func `a move that hangs for too long is aborted`() throws {
        let fault = ScheduledFault(at: .zero, lasts: .seconds(100), fault: .migrationHangs(host: 0))
        let world = World(SmallWorld.ring(duration: .seconds(3600), faults: [fault]))
        let order = try world.order(0, to: 1)
        try world.run()
        #expect(world.incarnation(order)?.failure?.text.contains("no progress for 60") == true)
        #expect(world.places(of: 0) == [0])
    }

    @Test func `a slow target slows a move down`() throws {
        let settings = SmallWorld.settings(
            hosts: [SmallWorld.host(1), SmallWorld.host(2, bytesPerSecond: 200_000_000)],
            vms: [SmallWorld.vm(1)],
            placement: [0]
        )
        let world = World(settings)
        let order = try world.order(0, to: 1)
        try world.run()
        #expect(abs((world.incarnation(order)?.outcome?.totalSeconds ?? 0) - 20.281) < 0.003)
    }
}

/// Reasons for which a target refuses a VM.
struct AdmissionTests {
    private func refusal(of target: SimulationSettings.Host, takes other: VMLoad? = nil) throws -> (World, String) {
        let settings = SmallWorld.settings(
            hosts: [SmallWorld.host(1), target],
            vms: [SmallWorld.vm(1)] + (other.map { [$0] } ?? []),
            placement: [0] + (other.map { _ in [1] } ?? [])
        )
        let world = World(settings)
        let order = try world.order(0, to: 1)
        try world.run()
        let failure = try #require(world.incarnation(order)?.failure)
        #expect(failure.kind == .refused)
        #expect(failure.whereabouts == .at(HostName("h1")))
        #expect(world.places(of: 0) == [0])
        #expect(world.measures.migrations == 0 && world.measures.failedMigrations == 0, "nothing began")
        return (world, failure.text)
    }

    @Test func `a host of another compatibility class refuses`() throws {
        let (_, reason) = try refusal(of: SmallWorld.host(2, compatibility: "arm64"))
        #expect(reason.contains("the VM needs x86-64, this host is arm64"))
    }

    @Test func `memory that does not fit is refused`() throws {
        let (_, reason) = try refusal(of: SmallWorld.host(2, memoryBytes: 3_999_999_999))
        #expect(reason.contains("the VM needs 4000000000 bytes, 0 are used or reserved"))
    }

    @Test func `memory in use counts`() throws {
        let (_, reason) = try refusal(of: SmallWorld.host(2, memoryBytes: 7_000_000_000), takes: SmallWorld.vm(2))
        #expect(reason.contains("4000000000 are used or reserved"))
    }

    @Test func `memory promised counts`() throws {
        // Two VMs of 4 GB from two hosts at the same time, and room for 7 GB.
        let settings = SmallWorld.settings(
            hosts: [SmallWorld.host(1), SmallWorld.host(2), SmallWorld.host(3, memoryBytes: 7_000_000_000)],
            vms: [SmallWorld.vm(1), SmallWorld.vm(2)],
            placement: [0, 1]
        )
        let world = World(settings)
        let orders = [try world.order(0, to: 2), try world.order(1, to: 2)]
        try world.run()
        #expect(orders.count { world.incarnation($0)?.stage == .done } == 1)
        #expect(orders.compactMap { world.incarnation($0)?.failure?.kind } == [.refused])
    }
}
