// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension FleetModel {
    /// Creates the fleet in figures from the hosts' histories.
    ///
    /// A host that cannot be judged is stale; a host that a move has just changed is settling. A host's own use is its
    /// use without its VMs. Capacities of network and disk are not sampled, so they are not balanced.
    public init(_ snapshot: FleetSnapshot, policy: Policy, over part: HistoryWindow = .both) {
        let twice = snapshot.runningTwice(policy: policy)
        self.init(snapshot, index: MoveIndex(snapshot, policy: policy, twice: twice), over: part)
    }

    /// Creates the fleet from a snapshot and the index of its moves.
    init(_ snapshot: FleetSnapshot, index: MoveIndex, over part: HistoryWindow) {
        let policy = index.policy
        let choice = ChannelChoice(snapshot, policy: policy, throughputs: index.throughputs)
        var homes = index.twice.compactMapValues(\.holder)
        // A VM that runs on two hosts is where the records say. Any other is where it runs, or else on the first host that lists it as active. Distrusted hosts count last.
        let byTrust =
            snapshot.hosts.filter { index.distrusted[$0.name] == nil }
            + snapshot.hosts.filter { index.distrusted[$0.name] != nil }
        for runs in [true, false] {
            for host in byTrust {
                for vm in host.latest?.vms ?? [] where vm.state.isActive && (vm.state == .running) == runs {
                    homes[vm.id] = homes[vm.id] ?? host.name
                }
            }
        }
        // A host that has a copy of a VM, even a stopped one, takes no second copy.
        var copies: [VMID: [HostName: Obstacle]] = [:]
        for host in snapshot.hosts {
            for vm in host.latest?.vms ?? [] {
                guard let home = homes[vm.id], home != host.name else { continue }
                copies[vm.id, default: [:]][host.name] = .hasCopy(vm.state)
            }
        }
        var vms: [VirtualMachine] = []
        var hosts: [Host] = []
        for history in snapshot.hosts {
            var (host, its) = Self.host(history, homes: homes, copies: copies, index: index, policy: policy, over: part)
            if !choice.hasAny(host.name), host.mode != .stale {
                host.isClosedBecause = .noAllowedChannel
                for number in its.indices where its[number].staysBecause == nil {
                    its[number].staysBecause = .noAllowedChannel(host.name)
                }
            }
            hosts.append(host)
            vms += its
        }
        self.init(
            revision: snapshot.revision,
            at: snapshot.at,
            hosts: hosts,
            vms: vms,
            movesInFlight: snapshot.movesInFlight,
            closedPaths: choice.closedPaths,
            bandwidths: choice.bandwidths
        )
        rules = policy.rules.map { resolved($0) }
    }

    private static func host(
        _ history: HostHistory,
        homes: [VMID: HostName],
        copies othersHave: [VMID: [HostName: Obstacle]],
        index: MoveIndex,
        policy: Policy,
        over part: HistoryWindow
    ) -> (host: Host, vms: [VirtualMachine]) {
        let window = history.settledWindow(since: index.settledAt[history.name], policy: policy)
        let judgement = history.judgement(moves: index, window: window)
        let estimate = DemandEstimate(window, over: part, policy: policy)
        let sample = history.latest
        var vms: [VirtualMachine] = []
        // Copies of VMs that run elsewhere take room here. The copy of a move under way is booked with that move.
        var copies = Resources()
        var cpu = 0.0
        var memory: UInt64 = 0
        for (number, vm) in (sample?.vms ?? []).enumerated() where vm.state.isActive {
            let demand = number < estimate.vms.count ? estimate.vms[number] : nil
            let needs = Resources(
                cpuCores: demand?.cores ?? usableFigure(vm.cpuCores) ?? 0,
                memoryBytes: plausibleBytes(vm.memoryBytes)
            )
            cpu += needs.cpuCores
            memory += needs.memoryBytes
            guard homes[vm.id] == history.name else {
                guard index.inFlight[vm.id] == nil else { continue }
                copies.cpuCores += needs.cpuCores
                copies.memoryBytes += needs.memoryBytes
                continue
            }
            vms.append(
                VirtualMachine(
                    id: vm.id,
                    name: vm.name,
                    host: history.name,
                    demand: needs,
                    peakCores: demand?.peakCores,
                    vcpus: min(max(0, vm.vcpus ?? 0), 1 << 16),
                    state: vm.state,
                    dirtyBytesPerSecond: index.dirtyRate(of: vm.id),
                    staysBecause: index.reasonToStay(vm),
                    avoids: index.avoids(vm).merging(othersHave[vm.id] ?? [:]) { $1 }
                )
            )
        }
        let total = plausibleBytes(sample?.memory?.totalBytes)
        let used = total - min(plausibleBytes(sample?.memory?.availableBytes), total)
        let capacity = usableFigure(sample?.cpu?.capacityCores) ?? 0
        // While a host settles there is no window yet, only its latest sample.
        let own = window.samples.isEmpty ? max(0, (usableFigure(sample?.cpu?.busyCores) ?? 0) - cpu) : estimate.ownCores
        let host = Host(
            name: history.name,
            capacity: Resources(cpuCores: capacity, memoryBytes: total),
            own: Resources(
                cpuCores: own + copies.cpuCores,
                memoryBytes: used - min(memory, used) + copies.memoryBytes
            ),
            cpus: max(1, Int(min(capacity, 1e6).rounded())),
            mode: mode(judgement, policy: policy),
            hypervisor: sample?.hypervisor,
            judgement: judgement
        )
        return (host, vms)
    }

    /// Returns bytes that can be summed over a fleet: implausible figures must not crash the controller by overflow.
    private static func plausibleBytes(_ bytes: UInt64?) -> UInt64 { min(bytes ?? 0, 1 << 46) }

    private static func mode(_ judgement: Judgement, policy: Policy) -> HostMode {
        switch judgement.verdict {
        case .unknown: .stale
        case .distrusted: .distrusted
        case .blocked: .blocked
        case _ where policy.maintenance.contains(judgement.host): .maintenance
        case .settling: .settling
        case .overloaded, .calm, .light: .active
        }
    }

    /// Returns the rule with the VMs' names replaced by their uuids; VMs that do not exist are left out.
    private func resolved(_ rule: PlacementRule) -> PlacementRule {
        var rule = rule
        rule.vms = rule.vms.flatMap { wanted in
            vms.filter { $0.id == wanted || $0.name == wanted.rawValue }.map(\.id)
        }
        return rule
    }
}
