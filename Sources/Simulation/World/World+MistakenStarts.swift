// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Operators who start VMs without checking where they belong.
extension World {
    /// While the fault lasts, an operator starts each VM that is off on the host and runs nowhere else.
    func startOff(on host: Int) {
        guard activeFaults.values.contains(.operatorStartsOff(host: host)) else { return }
        if hosts[host].libvirtIsUp {
            for copy in hosts[host].copies
            where copy.state == .inactive && (invariants.runners[copy.vm] ?? 0) == 0
                && offlineJobs[host]?.contains(copy.vm) != true
            {
                note("\(name(copy.vm)): an operator starts it on \(hostNames[host])")
                set(copy.vm, on: host, .running)
            }
        }
        queue.put(.sealed { $0.startOff(on: host) }, at: now + 1000)
    }

    /// Applies a pending `releaseLost` when the host releases an image: the agent of the target ends, and an operator
    /// starts the VM elsewhere once the doubt is reported.
    func loseRelease(of order: MigrationOrder, from host: Int) {
        guard let index = armed[host]?.firstIndex(of: .releaseLost(host: host)), let vm = vmNumbers[order.vm],
            let target = hostNumbers[order.target]
        else { return }
        armed[host]?.remove(at: index)
        note("agent of \(hostNames[target]) ends")
        stopAgent(target)
        queue.put(.sealed { $0.startAfterDoubt(vm, order) }, at: now + 90_000)
        queue.put(.start(.agent(target)), at: now + 120_000)
    }

    private func startAfterDoubt(_ vm: Int, _ order: MigrationOrder) {
        guard hosts.indices.allSatisfy({ hosts[$0].copy(of: vm) == nil }), invariants.ended.contains(order.id) else {
            return
        }
        startElsewhere(vm, order)
    }

    /// Starts a VM from its disks on a host that is neither source nor target of its order.
    func startElsewhere(_ vm: Int, _ order: MigrationOrder) {
        let others = hosts.indices.filter { host in
            hostNames[host] != order.source && hostNames[host] != order.target && hosts[host].libvirtIsUp
                && hosts[host].spec.compatibility == hosts[hostNumbers[order.source] ?? host].spec.compatibility
        }
        guard let host = others.first else { return }
        note("\(name(vm)): an operator starts it on \(hostNames[host])")
        set(vm, on: host, .running)
        setAutostart(of: vm, on: host, true)
    }
}
