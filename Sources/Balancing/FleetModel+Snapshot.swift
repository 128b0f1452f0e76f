// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension FleetModel {
    /// The fleet in figures as its latest samples tell it.
    ///
    /// A host that cannot be judged is stale. What a host uses beside its VMs is its own. Capacities of network and disk
    /// are not sampled, so these are not balanced.
    public init(_ snapshot: FleetSnapshot, policy: Policy) {
        let twice = Set(snapshot.runningTwice(policy: policy).map(\.vm))
        var vms: [VMID: VirtualMachine] = [:]
        var hosts: [Host] = []
        for history in snapshot.hosts {
            let judgement = history.judgement(in: snapshot, policy: policy)
            let sample = history.latest
            let active = (sample?.vms ?? []).filter(\.state.isActive)
            for vm in active where vms[vm.id] == nil || vm.state == .running {
                vms[vm.id] = VirtualMachine(
                    id: vm.id,
                    name: vm.name,
                    host: history.name,
                    demand: Resources(cpuCores: vm.cpuCores ?? 0, memoryBytes: vm.memoryBytes ?? 0),
                    vcpus: vm.vcpus ?? 0,
                    state: vm.state,
                    staysBecause: Self.reasonToStay(vm, twice: twice, snapshot: snapshot, policy: policy),
                    avoids: Self.avoided(by: vm.id, snapshot: snapshot, policy: policy)
                )
            }
            let cpu = active.reduce(0) { $0 + ($1.cpuCores ?? 0) }
            let memory = active.reduce(UInt64(0)) { $0 + ($1.memoryBytes ?? 0) }
            let total = sample?.memory?.totalBytes ?? 0
            let used = total - min(sample?.memory?.availableBytes ?? 0, total)
            let capacity = sample?.cpu?.capacityCores ?? 0
            hosts.append(
                Host(
                    name: history.name,
                    capacity: Resources(cpuCores: capacity, memoryBytes: total),
                    own: Resources(
                        cpuCores: max(0, (sample?.cpu?.busyCores ?? 0) - cpu),
                        memoryBytes: used - min(memory, used)
                    ),
                    cpus: max(1, Int(capacity.rounded())),
                    mode: judgement.verdict == .unknown ? .stale : .active,
                    hypervisor: sample?.hypervisor,
                    judgement: judgement
                )
            )
        }
        self.init(
            revision: snapshot.revision,
            at: snapshot.at,
            hosts: hosts,
            vms: Array(vms.values),
            movesInFlight: snapshot.movesInFlight,
            closedPaths: snapshot.closedPaths
        )
    }

    private static func reasonToStay(
        _ vm: VMSample,
        twice: Set<VMID>,
        snapshot: FleetSnapshot,
        policy: Policy
    ) -> String? {
        if vm.cpuCores == nil { return "its CPU use is not known yet" }
        if vm.memoryBytes == nil { return "its memory is not known" }
        if twice.contains(vm.id) { return "it is seen running on more than one host" }
        guard let last = snapshot.pastMoves.filter({ $0.move.vm == vm.id }).map(\.endedAt).max() else { return nil }
        let age = snapshot.at - last
        guard age < policy.cooldown else { return nil }
        return "its last move ended \(seconds(age)) ago; it stays put for \(seconds(policy.cooldown))"
    }

    /// Hosts that it left lately, or to which a move of it failed lately.
    private static func avoided(by vm: VMID, snapshot: FleetSnapshot, policy: Policy) -> [HostName: String] {
        var avoided: [HostName: String] = [:]
        for past in snapshot.pastMoves where past.move.vm == vm && snapshot.at - past.endedAt < policy.noReturn {
            let ago = seconds(snapshot.at - past.endedAt)
            if past.succeeded {
                avoided[past.move.source] =
                    "the VM left it \(ago) ago and does not return within \(seconds(policy.noReturn))"
            } else {
                avoided[past.move.target] = "a move of the VM to it failed \(ago) ago"
            }
        }
        return avoided
    }
}
