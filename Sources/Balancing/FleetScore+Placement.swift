// SPDX-License-Identifier: Apache-2.0
import Fleet

extension FleetScore {
    init(_ placement: Placement) {
        let space = placement.space
        let deviation = placement.spread.deviation
        self.init(
            violations: Self.violations(placement),
            spread: Spread(
                cpu: deviation[Lane.cpu],
                memory: deviation[Lane.memory],
                network: deviation[Lane.network],
                disk: deviation[Lane.disk],
                vcpus: deviation[Lane.vcpus]
            ),
            imbalance: (space.weights * deviation).sum()
        )
        for host in space.isActive.indices where space.isActive[host] {
            let share = placement.share(of: host)
            let capacity = space.model.hosts[host].capacity
            let cpu = share[Lane.peak] - space.policy.cpu.upper
            let memory = share[Lane.memory] - space.policy.memory.upper
            if cpu > 0 { coresLacking += cpu * capacity.cpuCores }
            if memory > 0 { bytesLacking += memory * Double(capacity.memoryBytes) }
            if cpu > 0 || memory > 0 { contendedHosts += 1 }
        }
    }

    private static func violations(_ placement: Placement) -> Int {
        let misplaced = placement.space.units.indices.filter { placement.isMisplaced($0) }
            .reduce(0) { $0 + placement.space.units[$1].members.count }
        let displaced = FailureReserve(placement).displaced
        let members = displaced.reduce(0) { $0 + placement.space.units[$1.unit].members.count }
        return placement.apartCount.reduce(misplaced + members) { $0 + $1.values.reduce(0) { $0 + max(0, $1 - 1) } }
    }
}

extension Shortage {
    /// Computes the hosts that the fleet lacks whatever the placement; `nil` if all VMs and the reserve fit.
    init?(of space: PlacementSpace) {
        let active = space.own.indices.filter { space.isActive[$0] }
        guard !active.isEmpty else { return nil }
        let capacities = active.map { host in
            (
                cores: space.model.hosts[host].capacity.cpuCores * space.policy.cpu.upper,
                memory: Double(space.model.hosts[host].capacity.memoryBytes)
                    * min(space.policy.memory.upper, space.planning.memoryLimit)
            )
        }
        var used = active.reduce(into: Vector()) { $0 += space.own[$1] }
        for unit in space.units where space.isActive[unit.home] || unit.mustLeave { used += unit.demand }
        let reserve = max(0, space.planning.reserveHosts)
        // The failure of the largest hosts costs most.
        let coresThere = capacities.map(\.cores).sorted().dropLast(reserve).reduce(0, +)
        let memory = capacities.map(\.memory).sorted().dropLast(reserve).reduce(0, +)
        let middle = capacities.count / 2
        let hostCores = capacities.map(\.cores).sorted()[middle]
        let hostMemory = capacities.map(\.memory).sorted()[middle]
        let lackingCores = used[Lane.peak] - coresThere
        let lackingMemory = used[Lane.memory] - memory
        guard lackingCores > 0 || lackingMemory > 0, hostCores > 0, hostMemory > 0 else { return nil }
        let hosts = max(lackingCores / hostCores, lackingMemory / hostMemory).rounded(.up)
        self.init(
            hosts: Int(hosts),
            hostCores: space.model.hosts[active[0]].capacity.cpuCores,
            hostMemoryBytes: space.model.hosts[active[0]].capacity.memoryBytes,
            reason: ShortageReason(
                cores: lackingCores > 0 ? lackingCores : nil,
                memoryBytes: lackingMemory > 0 ? UInt64(lackingMemory) : nil,
                reserveHosts: reserve
            )
        )
    }
}
