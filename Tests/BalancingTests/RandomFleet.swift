// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Creates small fleets from a seed: tight ones, with rules, hosts of several kinds, modes and groups.
struct RandomFleet {
    var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func model(rules: Bool = true, modes: Bool = true) -> FleetModel {
        let count = Int.random(in: 2...8, using: &random)
        let fill = Double.random(in: 0.4...0.97, using: &random)
        var hosts: [Fleet.Host] = []
        var vms: [VirtualMachine] = []
        for number in 0..<count {
            let large = Int.random(in: 0...3, using: &random) == 0
            let gibibytes: UInt64 = large ? 128 : 64
            let name = HostName("h\(number)")
            hosts.append(
                Host(
                    name: name,
                    capacity: Resources(
                        cpuCores: large ? 32 : 16,
                        memoryBytes: gibibytes << 30,
                        networkBytesPerSecond: 1e9,
                        diskBytesPerSecond: 1e9
                    ),
                    own: Resources(cpuCores: 0.5, memoryBytes: 2 << 30),
                    cpus: large ? 32 : 16,
                    mode: modes ? mode() : .active,
                    hypervisor: HypervisorFacts(
                        type: "qemu",
                        version: Bool.random(using: &random) ? 7_002_000 : 8_000_000,
                        libvirtVersion: 9_000_000,
                        architecture: "x86_64",
                        cpuModel: "Icelake"
                    ),
                    networks: Int.random(in: 0...5, using: &random) == 0 ? ["lan"] : ["lan", "dmz"]
                )
            )
            var used: UInt64 = 2
            let most = UInt64(Double(gibibytes) * min(1, Double.random(in: 0...2, using: &random) * fill))
            while true {
                let size = UInt64([1, 2, 4, 8, 16].randomElement(using: &random) ?? 4)
                guard used + size <= most else { break }
                used += size
                vms.append(vm(on: name, gibibytes: size, number: vms.count))
            }
        }
        return FleetModel(
            at: .second(0),
            hosts: hosts,
            vms: vms,
            rules: rules ? self.rules(vms: vms, hosts: hosts) : []
        )
    }

    private mutating func mode() -> HostMode {
        switch Int.random(in: 0...11, using: &random) {
        case 0: .maintenance
        case 1: .stale
        case 2: .failed
        default: .active
        }
    }

    private mutating func vm(on host: HostName, gibibytes: UInt64, number: Int) -> VirtualMachine {
        VirtualMachine(
            id: VMID("vm\(number)"),
            name: "vm\(number)",
            host: host,
            demand: Resources(
                cpuCores: Double.random(in: 0...2.5, using: &random),
                memoryBytes: gibibytes << 30,
                networkBytesPerSecond: Double.random(in: 0...3e7, using: &random),
                diskBytesPerSecond: Double.random(in: 0...3e7, using: &random)
            ),
            vcpus: Int.random(in: 1...4, using: &random),
            state: Int.random(in: 0...15, using: &random) == 0 ? .paused : .running,
            networks: Int.random(in: 0...9, using: &random) == 0 ? ["dmz"] : ["lan"],
            staysBecause: Int.random(in: 0...15, using: &random) == 0 ? .stated("pinned") : nil
        )
    }

    private mutating func rules(vms: [VirtualMachine], hosts: [Fleet.Host]) -> [PlacementRule] {
        guard vms.count > 4 else { return [] }
        var rules: [PlacementRule] = []
        for number in 0..<Int.random(in: 0...4, using: &random) {
            let kind = PlacementRule.Kind.allCases.randomElement(using: &random) ?? .apart
            let size = kind == .apart ? Int.random(in: 2...min(4, hosts.count), using: &random) : 2
            let members = vms.shuffled(using: &random).prefix(size).map(\.id)
            let isBetweenVMs = kind == .together || kind == .apart
            let named = hosts.shuffled(using: &random).prefix(2).map(\.name)
            rules.append(
                PlacementRule(name: "r\(number)", kind: kind, vms: members, hosts: isBetweenVMs ? [] : named)
            )
        }
        return rules
    }
}
