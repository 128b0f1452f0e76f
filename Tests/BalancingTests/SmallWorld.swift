// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

let mebibyte: UInt64 = 1 << 20

/// Builders of small fleets; hosts have 4 cores and 16 GiB by default.
func vm(
    _ name: String,
    cores: Double?,
    mebibytes: UInt64 = 1024,
    vcpus: Int = 2,
    state: VMState = .running
) -> VMSample {
    VMSample(id: VMID(name), name: name, state: state, cpuCores: cores, vcpus: vcpus, memoryBytes: mebibytes * mebibyte)
}

func sample(
    _ host: String,
    at second: Int,
    cpu: Double,
    of capacity: Double = 4,
    usedMebibytes: UInt64 = 4096,
    totalMebibytes: UInt64 = 16384,
    vms: [VMSample] = []
) -> LoadSample {
    LoadSample(
        host: HostName(host),
        at: .second(second),
        intervalSeconds: 5,
        cpu: CPULoad(capacityCores: capacity, busyCores: cpu),
        memory: MemoryLoad(
            totalBytes: totalMebibytes * mebibyte,
            usedBytes: usedMebibytes * mebibyte,
            availableBytes: (totalMebibytes - usedMebibytes) * mebibyte
        ),
        vms: vms
    )
}

/// The same load in each of the last four samples, the last at second 100.
func steady(
    _ host: String,
    cpu: Double,
    usedMebibytes: UInt64 = 4096,
    totalMebibytes: UInt64 = 16384,
    vms: [VMSample] = []
) -> HostHistory {
    HostHistory(
        name: HostName(host),
        samples: [85, 90, 95, 100].map {
            sample(
                host,
                at: $0,
                cpu: cpu,
                usedMebibytes: usedMebibytes,
                totalMebibytes: totalMebibytes,
                vms: vms
            )
        }
    )
}

func snapshot(
    _ hosts: [HostHistory],
    inFlight: [Move] = [],
    past: [PastMove] = []
) -> FleetSnapshot {
    FleetSnapshot(revision: 7, at: .second(101), hosts: hosts, movesInFlight: inFlight, pastMoves: past)
}

func move(_ vm: String, _ source: String, _ target: String) -> Move {
    Move(vm: VMID(vm), source: HostName(source), target: HostName(target))
}

extension Instant {
    static func second(_ second: Int) -> Instant { Instant(milliseconds: Int64(second) * 1000) }
}

extension Refusal {
    /// Returns whether the obstacle keeps the VM from these hosts.
    func has(_ obstacle: Obstacle, on hosts: [String]) -> Bool {
        guard case .noTarget(let obstacles) = reason else { return false }
        return obstacles.contains(HostsObstacle(hosts.map { HostName($0) }, obstacle))
    }
}
