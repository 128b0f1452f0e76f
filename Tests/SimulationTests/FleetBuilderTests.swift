// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Simulation

/// Fleets sized for a load.
struct FleetBuilderTests {
    private func settings(
        hosts: Int,
        meanCPU: Double = 0.55,
        meanMemory: Double = 0.65,
        vms: Int = 200,
        seed: UInt64
    ) -> SimulationSettings {
        let pattern = LoadPattern.allCases[Int(seed) % LoadPattern.allCases.count]
        return FleetBuilder(
            hosts: hosts,
            meanCPU: meanCPU,
            meanMemory: meanMemory,
            sampleInterval: .seconds(60),
            decisionInterval: .seconds(60),
            seed: seed
        ).settings(
            for: .generated(pattern, vms: vms, steps: 48, seed: seed),
            policy: Policy(),
            duration: .seconds(4 * 3600)
        )
    }

    @Test(arguments: [0.3, 0.55, 0.8, 1.1])
    func `hosts are sized for the requested mean load`(_ share: Double) {
        for seed in UInt64(0)..<12 {
            let settings = settings(hosts: 20, meanCPU: share, seed: seed)
            let cores = settings.hosts.reduce(0) { $0 + $1.cores }
            let mean = settings.workload.meanCores(over: 48) / cores
            #expect(abs(mean / share - 1) < 0.01, "seed \(seed): \(mean)")
            #expect(Set(settings.hosts.map(\.cores)).count == 1, "seed \(seed)")
        }
    }

    @Test func `the load measured in a world is the requested mean`() throws {
        var settings = settings(hosts: 10, vms: 100, seed: 0)
        settings.baseline = NothingBaseline()
        settings.sampleInterval = .seconds(600)
        settings.decisionInterval = .seconds(600)
        let world = World(settings)
        try world.run()
        let capacity = settings.hosts.reduce(0) { $0 + $1.cores } * 4 * 3600
        #expect(abs(world.measures.wantedCoreSeconds / capacity / 0.55 - 1) < 0.01)
    }

    @Test(arguments: [1, 2, 20, 100])
    func `every VM is on a host with memory for it`(_ hosts: Int) {
        for seed in UInt64(0)..<20 {
            let settings = settings(hosts: hosts, seed: seed)
            #expect(settings.hosts.count == hosts)
            #expect(settings.placement.count == settings.workload.vms.count, "seed \(seed)")
            var used = Array(repeating: UInt64(0), count: hosts)
            for (vm, host) in settings.placement.enumerated() {
                #expect(settings.hosts.indices.contains(host), "seed \(seed)")
                used[host] += settings.workload.vms[vm].memoryBytes
            }
            #expect(zip(used, settings.hosts).allSatisfy { $0 <= $1.memoryBytes }, "seed \(seed), \(hosts) hosts")
            let memory = settings.hosts.reduce(0) { $0 + Double($1.memoryBytes) }
            #expect(Double(used.reduce(0, +)) / memory <= 0.651, "seed \(seed)")
        }
    }

    @Test func `the same seed builds the same fleet`() {
        let (one, other) = (settings(hosts: 20, seed: 3), settings(hosts: 20, seed: 3))
        #expect(one.placement == other.placement && one.hosts == other.hosts)
        #expect((UInt64(10)...13).contains { settings(hosts: 20, seed: $0 * 6 + 3).placement != one.placement })
    }

    @Test func `hosts have names in order`() {
        let names = settings(hosts: 120, seed: 1).hosts.map(\.name)
        #expect(names == names.sorted() && Set(names).count == 120)
        #expect(names.first == HostName("h001") && names.last == HostName("h120"))
    }

    @Test func `the policy is scaled to rare samples and many hosts`() {
        let policy = Policy().scaled(toSamplesEvery: .seconds(300), hosts: 1000)
        #expect(policy.staleAfter >= .seconds(900))
        #expect(policy.shortWindow >= .seconds(300) && policy.longWindow >= .seconds(600))
        #expect(policy.overloadSamples == 1 && policy.overloadWindow == 1)
        #expect(policy.orderLifetime >= .seconds(300))
        #expect(policy.movesInAll == 100)
        #expect(Policy().scaled(toSamplesEvery: .seconds(5), hosts: 4) == Policy(), "production's stays as it is")
    }
}
