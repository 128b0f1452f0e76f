// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Foundation
import Testing

/// Load statistics that a controller keeps across restarts.
struct RestoredStatisticsTests {
    private func sample(_ second: Int64, cores: Double) -> LoadSample {
        var sample = LoadSample(
            host: HostName("h1"),
            at: Instant(milliseconds: second * 1000),
            intervalSeconds: 5,
            cpu: CPULoad(capacityCores: 8, busyCores: cores)
        )
        sample.vms = [VMSample(id: VMID("a"), name: "a", state: .running, cpuCores: cores, vcpus: 4)]
        return sample
    }

    private let times = Array(stride(from: Int64(0), to: 7200, by: 5))
    private func cores(_ second: Int64) -> Double { second % 1200 < 600 ? 1 : 3 }

    @Test func `restored statistics continue as if there had been no restart`() throws {
        var whole = LoadStatistics()
        for time in times { whole.add(sample(time, cores: cores(time))) }
        var before = LoadStatistics()
        for time in times where time < 5000 { before.add(sample(time, cores: cores(time))) }
        let stored = try JSONDecoder().decode(LoadStatistics.self, from: JSONEncoder().encode(before))
        #expect(stored == before)
        var after = LoadStatistics()
        after.restore(stored)
        // The ledger still has the last samples from before the restart.
        for time in times where time >= 4000 { after.add(sample(time, cores: cores(time))) }
        let (vm, expected) = (try #require(after.vms[VMID("a")]), try #require(whole.vms[VMID("a")]))
        #expect(vm.mean == expected.mean && vm.variance == expected.variance && vm.seconds == expected.seconds)
        #expect(after.correlation == whole.correlation && after.persistence == whole.persistence)
    }

    @Test func `only the VMs that were observed last are stored if there are too many`() {
        var statistics = LoadStatistics()
        for number in 0..<10 {
            var sample = sample(Int64(number) * 5, cores: 1)
            sample.vms?[0].id = VMID("vm-\(number)")
            statistics.add(sample)
        }
        #expect(statistics.newest(3).vms.keys.sorted() == ["vm-7", "vm-8", "vm-9"].map { VMID($0) })
        #expect(statistics.newest(10) == statistics)
    }
}
