// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Generates very unevenly loaded fleets from a seed.
///
/// Hosts have 48 CPUs and 256 GiB, of which the host uses 2 GiB. VMs have 2 GiB per VCPU, in five sizes from 1 to 16
/// VCPUs (35, 25, 20, 15 and 5 %). A VM uses 1 to 90 % of its VCPUs, most of them little (the square of a uniform
/// draw). Each VM is placed on a host drawn by weight, or on the next host with room. The weights are cubed, so that
/// some hosts are drawn a hundred times as often as others. With twenty VMs per host 55 to 60 % of the memory is used,
/// and CPU use ranges from about 5 to over 90 %.
struct FleetGenerator {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    private mutating func draw() -> Double { Double(random.next() >> 11) / Double(1 << 53) }

    mutating func model(hosts count: Int, vms vmCount: Int) -> FleetModel {
        let capacity = Resources(
            cpuCores: 48,
            memoryBytes: 256 << 30,
            networkBytesPerSecond: 1_250_000_000,
            diskBytesPerSecond: 1_000_000_000
        )
        let hosts = (0..<count).map { number in
            Host(
                name: HostName("node-\(Self.padded(number))"),
                capacity: capacity,
                own: Resources(memoryBytes: 2 << 30),
                cpus: 48
            )
        }
        var cumulative: [Double] = []
        for _ in 0..<count {
            let weight = draw() + 0.2
            cumulative.append((cumulative.last ?? 0) + weight * weight * weight)
        }
        var free = [UInt64](repeating: 250, count: count)
        var vms: [VirtualMachine] = []
        for number in 0..<vmCount {
            let vcpus = self.vcpus()
            let gibibytes = UInt64(vcpus) * 2
            var host = self.host(cumulative)
            // The next host with room; a full fleet receives no more VMs.
            var tries = 0
            while free[host] < gibibytes, tries < count {
                host = (host + 1) % count
                tries += 1
            }
            guard tries < count else { break }
            free[host] -= gibibytes
            let use = draw()
            vms.append(
                VirtualMachine(
                    id: VMID("vm-\(Self.padded(number))"),
                    name: "vm-\(Self.padded(number))",
                    host: hosts[host].name,
                    demand: Resources(
                        cpuCores: Double(vcpus) * (0.01 + 0.89 * use * use),
                        memoryBytes: gibibytes << 30,
                        networkBytesPerSecond: draw() * 0.0035 * capacity.networkBytesPerSecond,
                        diskBytesPerSecond: draw() * 0.0035 * capacity.diskBytesPerSecond
                    ),
                    vcpus: vcpus
                )
            )
        }
        return FleetModel(at: Instant(milliseconds: 0), hosts: hosts, vms: vms)
    }

    /// Returns the same fleet with a new CPU load for one VM in a hundred.
    mutating func changed(_ model: FleetModel) -> FleetModel {
        var changed = model
        for index in changed.vms.indices where random.next() % 100 == 0 {
            changed.vms[index].demand.cpuCores = Double(changed.vms[index].vcpus) * (0.01 + 0.89 * draw())
            changed.vms[index].peakCores = changed.vms[index].demand.cpuCores
        }
        return changed
    }

    private mutating func vcpus() -> Int {
        switch random.next() % 100 {
        case ..<35: 1
        case ..<60: 2
        case ..<80: 4
        case ..<95: 8
        default: 16
        }
    }

    private mutating func host(_ cumulative: [Double]) -> Int {
        let mark = draw() * (cumulative.last ?? 0)
        return min(cumulative.partitioningIndex { $0 > mark }, cumulative.count - 1)
    }

    private static func padded(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, 6 - text.count)) + text
    }
}

extension [Double] {
    /// Returns the first index at which the condition holds.
    fileprivate func partitioningIndex(_ holds: (Double) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
