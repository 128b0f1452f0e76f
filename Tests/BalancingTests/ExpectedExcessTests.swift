// SPDX-License-Identifier: Apache-2.0
@testable import Balancing
import Fleet
import Testing

/// The mean excess of a varying load over a line, and the expected demand of VMs.
struct ExpectedExcessTests {
    private let excess = ExpectedExcess()

    /// Values of φ(z) - z × Φ(-z) from tables of the normal loss function; z is the distance up to the line.
    @Test(arguments: [(0, 0.398942), (1, 0.083315), (-1, 1.083315), (2, 0.008491), (-2, 2.008491), (3, 0.000382)])
    func `the expected excess is the loss function of the normal distribution`(distance: Double, loss: Double) {
        #expect(abs(excess.mean(above: -distance, variance: 1) - loss) < 2e-5)
        #expect(
            abs(excess.mean(above: -distance / 2, variance: 0.25) - loss / 2) < 1e-5,
            "it scales with the deviation"
        )
    }

    @Test func `the expected excess grows smoothly with the mean and with the deviation`() {
        var last = 0.0
        for step in -600...600 {
            let now = excess.mean(above: Double(step) / 100, variance: 1)
            #expect(now >= last && now - last < 0.0101, "at \(step)")
            #expect(now >= max(0, Double(step) / 100) - 1e-5)
            last = now
        }
        #expect(excess.mean(above: -0.1, variance: 0.04) > excess.mean(above: -0.1, variance: 0.01))
        #expect(abs(excess.mean(above: 0.3, variance: 1e-12) - 0.3) < 1e-9)
        #expect(excess.mean(above: -0.3, variance: 1e-12) == 0)
    }

    /// Returns h1 with a VM that is sampled each minute and wants `cores` of the minute.
    private func snapshot(hours: Int, _ cores: (Int) -> Double) -> FleetSnapshot {
        var statistics = LoadStatistics()
        var history = HostHistory(name: HostName("h1"), samples: [])
        for minute in 1...(hours * 60) {
            var one = sample("h1", at: minute * 60, cpu: cores(minute), vms: [vm("a", cores: cores(minute), vcpus: 8)])
            one.intervalSeconds = 60
            statistics.add(one)
            history.append(one, policy: Policy())
        }
        let at = Instant.second(hours * 3600)
        return FleetSnapshot(revision: 1, at: at, hosts: [history], statistics: statistics)
    }

    private func expected(_ snapshot: FleetSnapshot) throws -> VirtualMachine {
        let present = FleetModel(snapshot, policy: Policy(), over: .short)
        return try #require(present.expecting(present, snapshot, policy: Policy()).vms.first)
    }

    @Test func `a lasting load is expected to last`() throws {
        // Hours of 1 core and of 3 cores alternate.
        let slow = snapshot(hours: 6) { ($0 - 1) / 60 % 2 == 0 ? 1 : 3 }
        #expect(slow.statistics.correlation > 0.7)
        let vm = try expected(slow)
        #expect(vm.presentCores > 2.9 && vm.demand.cpuCores > 2.4)
    }

    @Test func `a momentary load is not expected to last`() throws {
        // Each five minutes are independent of the next.
        var random = SplitMix64(seed: 3)
        let draws = (0..<73).map { _ in Double.random(in: 0...2, using: &random) }
        let noise = snapshot(hours: 6) { draws[$0 / 5] }
        #expect(noise.statistics.correlation < 0.4)
        let vm = try expected(noise)
        let mean = draws.reduce(0, +) / 73
        #expect(abs(vm.demand.cpuCores - mean) < abs(vm.presentCores - mean) || abs(vm.presentCores - mean) < 0.05)
        #expect(vm.cpuVariance > 0.15, "of a third, most is left")
    }

    @Test func `a VM's statistics move with it`() throws {
        var statistics = snapshot(hours: 2) { _ in 2 }.statistics
        statistics.add(sample("h2", at: 7260, cpu: 2, vms: [vm("a", cores: 2, vcpus: 8)]))
        let known = try #require(statistics.vms[VMID("a")])
        #expect(known.seconds >= 7200 && abs(known.mean - 2) < 1e-9 && known.variance < 1e-9)
    }

    @Test func `implausible figures do not affect other statistics`() throws {
        var statistics = snapshot(hours: 1) { _ in 1 }.statistics
        var liar = vm("b", cores: 1e300, vcpus: 4)
        for minute in 61...90 {
            liar.cpuCores = minute % 2 == 0 ? 1e300 : .nan
            statistics.add(sample("h2", at: minute * 60, cpu: 4, vms: [liar]))
        }
        #expect(try #require(statistics.vms[VMID("b")]).mean <= 4)
        #expect(statistics.correlation.isFinite && statistics.persistence.isFinite)
        #expect(abs(try #require(statistics.vms[VMID("a")]).mean - 1) < 1e-9)
    }
}
