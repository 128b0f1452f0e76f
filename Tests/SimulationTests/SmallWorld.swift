// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet

@testable import Simulation

/// Worlds small enough for manual calculation: the controller decides nothing, and the test gives the orders.
enum SmallWorld {
    static func host(
        _ number: Int,
        cores: Double = 16,
        memoryBytes: UInt64 = 64_000_000_000,
        bytesPerSecond: Double = 500_000_000,
        compatibility: String = "x86-64"
    ) -> SimulationSettings.Host {
        SimulationSettings.Host(
            name: HostName("h\(number)"),
            cores: cores,
            memoryBytes: memoryBytes,
            bytesPerSecond: bytesPerSecond,
            compatibility: compatibility
        )
    }

    /// Returns a VM with a constant share of its VCPUs as demand; a `Float` must represent the share exactly.
    static func vm(
        _ number: Int,
        vcpus: Int = 2,
        share: Float = 0.5,
        memoryBytes: UInt64 = 4_000_000_000,
        dirtyBytesPerSecond: Double = 0,
        workingSetBytes: UInt64 = 1_000_000_000
    ) -> VMLoad {
        VMLoad(
            name: "vm\(number)",
            vcpus: vcpus,
            memoryBytes: memoryBytes,
            dirtyBytesPerSecond: dirtyBytesPerSecond,
            workingSetBytes: workingSetBytes,
            demand: [share]
        )
    }

    static func settings(
        hosts: [SimulationSettings.Host],
        vms: [VMLoad],
        placement: [Int],
        duration: Duration = .seconds(120),
        faults: [ScheduledFault] = []
    ) -> SimulationSettings {
        var policy = Torture.policy
        policy.mode = .off
        var settings = SimulationSettings(
            policy: policy,
            hosts: hosts,
            workload: Workload(step: .seconds(60), vms: vms),
            placement: placement,
            duration: duration,
            seed: 1
        )
        settings.limits = Torture.limits
        settings.physics.ledgerDelay = 50...50
        settings.faults = faults
        return settings
    }

    /// Returns three hosts with a VM each.
    static func ring(duration: Duration = .seconds(120), faults: [ScheduledFault] = []) -> SimulationSettings {
        settings(
            hosts: (1...3).map { host($0) },
            vms: (1...3).map { vm($0, dirtyBytesPerSecond: 100e6) },
            placement: [0, 1, 2],
            duration: duration,
            faults: faults
        )
    }
}

extension World {
    /// Runs until `seconds` after the beginning.
    func run(until seconds: Double) throws(Violation) {
        try run(for: .milliseconds(Int64((seconds - simulatedSeconds) * 1000)))
    }

    /// Orders a VM from its current host to another, like the controller; not before the run has begun.
    @discardableResult
    func order(
        _ vm: Int,
        to target: Int,
        by channel: Channel = .ipsec,
        issuer: MigrationOrder.Issuer = .controller
    ) throws(Violation) -> OrderID {
        try run(for: .zero)
        let source = hosts.indices.first { hosts[$0].copy(of: vm)?.executes == true } ?? target
        let instant = clock(.controller)
        let order = MigrationOrder(
            id: OrderID("order-\(invariants.asked.count + 1)"),
            vm: vmIDs[vm],
            vmName: name(vm),
            source: hostNames[source],
            target: hostNames[target],
            channel: channel,
            technique: channel.technique,
            definition: definition(of: vm),
            issuedAt: instant,
            expires: instant + settings.policy.orderLifetime,
            issuer: issuer,
            reason: "by hand"
        )
        submit(order, incarnation: controllerIncarnation)
        return order.id
    }

    func incarnation(_ order: OrderID) -> OrderState? { controller?.orders[order] }

    /// Returns the hosts on which a VM executes.
    func places(of vm: Int) -> [Int] { hosts.indices.filter { hosts[$0].copy(of: vm)?.executes == true } }
}

/// Returns the lines of a run's event log.
func eventLog(_ settings: SimulationSettings, _ act: (World) throws -> Void = { _ in }) rethrows -> [String] {
    var lines: [String] = []
    let world = World(settings)
    world.log = { lines.append($0) }
    try act(world)
    return lines
}
