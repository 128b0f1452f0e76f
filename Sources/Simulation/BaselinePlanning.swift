// SPDX-License-Identifier: Apache-2.0
internal import Balancing
internal import Coordination
internal import Fleet

/// Plans with a baseline in place of Evenkeel's planner; its moves become orders with the same limits of concurrency.
struct BaselinePlanning: Sendable {
    let baseline: any Baseline
    let policy: Policy
    let seed: UInt64
    /// Whether the no-return window applies: a VM that has moved within it does not move again.
    var usesHistory = false

    @Sendable func plan(for snapshot: FleetSnapshot) -> Plan {
        let fleet = view(of: snapshot)
        var random = SplitMix64(seed: seed ^ UInt64(bitPattern: snapshot.at.milliseconds))
        let wanted = baseline.moves(in: fleet, random: &random)
        return Plan(
            snapshotRevision: snapshot.revision,
            at: snapshot.at,
            strategy: .balance,
            moves: admitted(wanted, in: fleet, snapshot: snapshot),
            judgements: [],
            refusals: [],
            before: FleetScore(),
            after: FleetScore()
        )
    }

    /// Returns the first moves that may run at the same time.
    ///
    /// A baseline does not know these limits: without them its moves would only obstruct each other. Only one
    /// move at a time may use a tunnel.
    private func admitted(_ moves: [BaselineMove], in fleet: BaselineFleet, snapshot: FleetSnapshot) -> [PlannedMove] {
        var inAll = snapshot.movesInFlight.count
        var byHost: [HostName: Int] = [:]
        var paths: Set<Path> = []
        for move in snapshot.movesInFlight {
            byHost[move.source, default: 0] += 1
            byHost[move.target, default: 0] += 1
            paths.insert(move.path)
        }
        var planned: [PlannedMove] = []
        for move in moves where inAll < policy.movesInAll {
            let vm = fleet.vms[move.vm]
            let (source, target) = (fleet.hosts[vm.host].name, fleet.hosts[move.target].name)
            guard vm.mayMove, source != target, byHost[source, default: 0] < policy.movesPerHost,
                byHost[target, default: 0] < policy.movesPerHost,
                paths.insert(Path(source: source, target: target)).inserted
            else { continue }
            byHost[source, default: 0] += 1
            byHost[target, default: 0] += 1
            inAll += 1
            planned.append(
                PlannedMove(
                    vm: vm.id,
                    vmName: vm.name,
                    source: source,
                    target: target,
                    reason: MoveReason(.baseline(baseline.name)),
                    prediction: Prediction(sourceBefore: 0, sourceAfter: 0, targetBefore: 0, targetAfter: 0),
                    memoryBytes: vm.memoryBytes,
                    seconds: 0
                )
            )
        }
        return planned
    }

    /// Returns the fleet according to the newest samples.
    private func view(of snapshot: FleetSnapshot) -> BaselineFleet {
        let moving = Set(snapshot.movesInFlight.map(\.vm))
        var hosts: [BaselineFleet.Host] = []
        var vms: [BaselineFleet.VM] = []
        var seen: Set<VMID> = []
        // A host's figures describe another placement if a move changes the host now, or has changed it since its
        // latest sample began.
        let changing = Set(snapshot.movesInFlight.flatMap { [$0.source, $0.target] })
        var changedAt: [HostName: Instant] = [:]
        for past in snapshot.pastMoves where past.succeeded {
            for host in [past.move.source, past.move.target] {
                changedAt[host] = max(past.endedAt, changedAt[host] ?? past.endedAt)
            }
        }
        for (number, history) in snapshot.hosts.enumerated() {
            let latest = history.latest
            let age = latest.map { snapshot.at - $0.at } ?? .seconds(1 << 30)
            let active = (latest?.vms ?? []).filter(\.state.isActive)
            let began = latest.map { $0.at - .milliseconds(Int64(1000 * ($0.intervalSeconds ?? 0))) }
            let isOutdated = changedAt[history.name].map { changed in began.map { $0 < changed } ?? true } ?? false
            var cores = 0.0
            for vm in active where seen.insert(vm.id).inserted {
                cores += vm.cpuCores ?? 0
                vms.append(
                    BaselineFleet.VM(
                        id: vm.id,
                        name: vm.name,
                        host: number,
                        cores: vm.cpuCores ?? 0,
                        memoryBytes: vm.memoryBytes ?? 0,
                        vcpus: vm.vcpus ?? 1,
                        mayMove: vm.state == .running && vm.cpuCores != nil && !moving.contains(vm.id)
                            && !(usesHistory && isResting(vm.id, snapshot))
                    )
                )
            }
            hosts.append(
                BaselineFleet.Host(
                    name: history.name,
                    cores: latest?.cpu?.capacityCores ?? 0,
                    memoryBytes: latest?.memory?.totalBytes ?? 0,
                    ownCores: max(0, (latest?.cpu?.busyCores ?? 0) - cores),
                    ownMemoryBytes: 0,
                    cpuHistory: history.samples.compactMap { $0.cpu?.share },
                    isUsable: age <= policy.staleAfter && latest?.cpu != nil && latest?.vms != nil
                        && latest?.takesNoOrdersBecause == nil
                        && !changing.contains(history.name) && !isOutdated
                )
            )
        }
        // A VM in migration needs space on its target.
        for move in snapshot.movesInFlight {
            guard let host = snapshot.hosts.firstIndex(where: { $0.name == move.target }),
                let vm = vms.first(where: { $0.id == move.vm })
            else { continue }
            hosts[host].ownMemoryBytes += vm.memoryBytes
        }
        return BaselineFleet(hosts: hosts, vms: vms)
    }

    private func isResting(_ vm: VMID, _ snapshot: FleetSnapshot) -> Bool {
        snapshot.pastMoves.contains { $0.move.vm == vm && snapshot.at - $0.endedAt < policy.noReturn }
    }
}
