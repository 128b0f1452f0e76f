// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension FleetSnapshot {
    /// Returns every VM that fresh samples show running on more than one host, in the order of their uuids.
    ///
    /// A VM that is moving is left out. A sample that began before the VM's last move ended does not count, because two
    /// samples are never from the same moment.
    public func runningTwice(policy: Policy) -> [RunningTwice] {
        // Nearly every VM is listed once, so at first only the number of its host is kept.
        var seen: [VMID: Int] = [:]
        seen.reserveCapacity(hosts.reduce(0) { $0 + ($1.latest?.vms?.count ?? 0) })
        var twice: [VMID: RunningTwice] = [:]
        let moving = Set(movesInFlight.map(\.vm))
        var lastMove: [VMID: Instant] = [:]
        for past in pastMoves { lastMove[past.move.vm] = max(past.endedAt, lastMove[past.move.vm] ?? past.endedAt) }
        for (number, host) in hosts.enumerated() where host.reasonUnknown(at: at, policy: policy) == nil {
            guard let latest = host.latest else { continue }
            for vm in latest.vms ?? [] where vm.state == .running && !moving.contains(vm.id) {
                if let moved = lastMove[vm.id], latest.began < moved { continue }
                guard let first = seen.updateValue(number, forKey: vm.id) else { continue }
                let known = RunningTwice(vm: vm.id, vmName: vm.name, hosts: [hosts[first].name])
                twice[vm.id, default: known].hosts.append(host.name)
            }
        }
        return twice.values.sorted { $0.vm < $1.vm }.map { found in
            var found = found
            found.holder = custody.holder(of: found.vm, among: found.hosts)
            return found
        }
    }
}
