// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Turns a schedule into a plan: its moves, figures and reasons.
struct PlanWriter {
    let start: Placement
    let schedule: WaveSchedule
    let objective: Objective
    /// Units that were moved to make room for the failure of a host.
    let madeRoom: Set<Int>
    private var space: PlacementSpace { start.space }

    func plan(strategy: Strategy, wasCutShort: Bool) -> Plan {
        Plan(
            snapshotRevision: space.model.revision,
            at: space.model.at,
            strategy: strategy,
            moves: moves(),
            judgements: space.model.hosts.indices.map(judgement).sorted { $0.host < $1.host },
            refusals: refusals(),
            shortage: Shortage(of: space),
            before: FleetScore(start),
            after: FleetScore(schedule.placement),
            wasCutShort: wasCutShort
        )
    }

    // MARK: moves

    private func moves() -> [PlannedMove] {
        var used = start.used
        // For each `apart` rule, the number of its VMs that are still on each host.
        var apart = start.apartCount
        return schedule.moves.map { move in
            let vm = space.model.vms[move.member]
            let demand = space.demand(ofVM: move.member)
            let before = Shares(move, used, space)
            used[move.source] -= demand
            used[move.target] += demand
            let after = Shares(move, used, space)
            let prediction = Prediction(
                sourceBefore: before.source[Lane.cpu],
                sourceAfter: after.source[Lane.cpu],
                targetBefore: before.target[Lane.cpu],
                targetAfter: after.target[Lane.cpu]
            )
            let seconds = space.seconds(ofVM: move.member, from: move.source, to: move.target)
            let broken = space.units[move.unit].apart.filter { (apart[$0][move.source] ?? 0) > 1 }
            for rule in space.units[move.unit].apart { apart[rule][move.source, default: 0] -= 1 }
            let purpose = purpose(of: move, breaksApart: !broken.isEmpty)
            return PlannedMove(
                vm: vm.id,
                vmName: vm.name,
                source: space.model.hosts[move.source].name,
                target: space.model.hosts[move.target].name,
                wave: move.wave,
                purpose: purpose,
                reason: MoveReason(
                    cause(of: move, purpose: purpose),
                    effect: effect(of: move, shares: (before, after), seconds: seconds)
                ),
                prediction: prediction,
                memoryBytes: vm.demand.memoryBytes,
                seconds: seconds
            )
        }
    }

    /// Used / capacity of a move's hosts.
    private struct Shares {
        let source: Vector
        let target: Vector
        init(_ move: ScheduledMove, _ used: [Vector], _ space: PlacementSpace) {
            source = used[move.source] * space.inverse[move.source]
            target = used[move.target] * space.inverse[move.target]
        }
    }

    private func purpose(of move: ScheduledMove, breaksApart: Bool) -> PlannedMove.Purpose {
        if move.isStop { return .room }
        let unit = space.units[move.unit]
        if space.model.hosts[unit.home].mode == .maintenance { return .drain }
        if unit.mustLeave || breaksApart { return .rule }
        if space.planning.strategy == .consolidate, schedule.placement.unitsOn[unit.home].isEmpty {
            return .consolidate
        }
        if !objective.contention(on: unit.home, of: start).isEmpty { return .contention }
        if let preferred = unit.preferredHosts, !preferred.contains(unit.home), preferred.contains(move.target) {
            return .rule
        }
        if madeRoom.contains(move.unit) { return .reserve }
        // If the source carries less than its target, the move can only be a part of an exchange.
        func burden(_ host: Int) -> Double { (space.weights * start.share(of: host)).sum() }
        return burden(unit.home) < burden(move.target) ? .room : .balance
    }

    private func cause(of move: ScheduledMove, purpose: PlannedMove.Purpose) -> MoveReason.Cause {
        let source = space.model.hosts[move.source].name
        switch purpose {
        case .drain: return .maintenance(source)
        case .rule: return .rules(rules(of: move.unit), brokenOn: source)
        case .contention: return .overload(source, objective.contention(on: move.source, of: start))
        case .reserve: return .failureReserve
        case .balance: return .balance(balance(of: move))
        case .consolidate: return .consolidation(source)
        case .room where move.isStop: return .stop(on: space.model.hosts[move.target].name)
        case .room: return .room(on: source)
        }
    }

    /// Returns the resource that a move evens out most.
    private func balance(of move: ScheduledMove) -> MoveReason.Balance {
        func off(_ placement: Placement) -> Vector {
            let source = placement.share(of: move.source) - objective.target
            let target = placement.share(of: move.target) - objective.target
            return objective.slope * (source * source + target * target)
        }
        let gain = off(start) - off(schedule.placement)
        let lanes: [(lane: Int, resource: LoadedResource)] = [
            (Lane.cpu, .cpu), (Lane.memory, .memory), (Lane.network, .network), (Lane.disk, .disk),
            (Lane.vcpus, .vcpus),
        ]
        // The first of equal gains.
        var most = lanes[0]
        for other in lanes.dropFirst() where gain[other.lane] > gain[most.lane] { most = other }
        return MoveReason.Balance(
            resource: most.resource,
            source: space.model.hosts[move.source].name,
            target: space.model.hosts[move.target].name,
            sourceShare: start.share(of: move.source)[most.lane],
            targetShare: start.share(of: move.target)[most.lane],
            fleetShare: objective.target[most.lane]
        )
    }

    private func effect(
        of move: ScheduledMove,
        shares: (before: Shares, after: Shares),
        seconds: Double
    ) -> MoveEffect {
        let vm = space.model.vms[move.member]
        func change(_ host: Int, _ share: KeyPath<Shares, Vector>) -> MoveEffect.HostChange {
            let (before, after) = (shares.before[keyPath: share], shares.after[keyPath: share])
            return MoveEffect.HostChange(
                name: space.model.hosts[host].name,
                cpuBefore: before[Lane.cpu],
                cpuAfter: after[Lane.cpu],
                memoryBefore: before[Lane.memory],
                memoryAfter: after[Lane.memory]
            )
        }
        let ratio = MigrationCost.dirtyRatio(vm, bandwidth: space.bandwidth(from: move.source, to: move.target))
        return MoveEffect(
            vmName: vm.name,
            cores: vm.demand.cpuCores,
            memoryBytes: vm.demand.memoryBytes,
            source: change(move.source, \.source),
            target: change(move.target, \.target),
            worth: worth(of: move),
            seconds: seconds,
            slowsGuest: ratio >= MigrationCost.mostDirty
        )
    }

    /// Returns the gain of a move as a multiple of its cost: the loss if it alone were left out.
    private func worth(of move: ScheduledMove) -> MoveEffect.Worth {
        let after = schedule.placement
        let unit = space.units[move.unit]
        let changes = [(unit.home, unit.demand), (after.hostOf[move.unit], -unit.demand)]
        var gain = changes.filter { space.isActive[$0.0] }.reduce(0.0) { gain, change in
            let (host, demand) = change
            let without = objective.energy((after.used[host] + demand) * space.inverse[host])
            return gain + without - objective.energy(after.share(of: host))
        }
        gain += objective.term(unit, on: unit.home)
        let times = gain / max(objective.price * space.seconds(unit, to: move.target), .leastNormalMagnitude)
        guard times >= 1 else { return .partOfOthers }
        return times >= 1000 ? .overThousandTimes : .times(times)
    }

    /// Returns the names of the rules that a unit's home breaks.
    private func rules(of unit: Int) -> [String] {
        let one = space.units[unit]
        let home = space.model.hosts[one.home].name
        let members = Set(one.members.map { space.model.vms[$0].id })
        let broken = space.model.rules.filter { rule in
            guard !members.isDisjoint(with: rule.vms) else { return false }
            switch rule.kind {
            case .onlyOn, .preferably: return !rule.hosts.contains(home)
            case .neverOn: return rule.hosts.contains(home)
            case .together, .apart: return true
            }
        }
        return broken.map(\.name).sorted()
    }

    // MARK: hosts

    private func judgement(_ host: Int) -> Judgement {
        let its = space.model.hosts[host]
        if let judgement = its.judgement { return judgement }
        func judge(_ verdict: Judgement.Verdict, _ reason: JudgementReason) -> Judgement {
            Judgement(host: its.name, verdict: verdict, reason: reason)
        }
        switch its.mode {
        case .settling: return judge(.settling, .hostMode(.settling))
        case .stale, .failed: return judge(.unknown, .hostMode(its.mode))
        case .distrusted: return judge(.distrusted, .hostMode(.distrusted))
        case .blocked: return judge(.blocked, .hostMode(.blocked))
        case .active, .maintenance: break
        }
        let contention = objective.contention(on: host, of: start)
        if !contention.isEmpty { return judge(.overloaded, .contention(contention)) }
        let share = start.share(of: host)
        let isLight = space.policy.isLight(cpu: share[Lane.cpu], memory: share[Lane.memory])
        return judge(isLight ? .light : .calm, .load(cpu: share[Lane.cpu], memory: share[Lane.memory], signs: []))
    }

    // MARK: what is not done

    /// Returns why VMs stay: dropped units, and the VMs of hosts that stay overloaded or are not emptied.
    ///
    /// If very many hosts stay overloaded, the least loaded of them get one refusal each.
    private func refusals() -> [Refusal] {
        let after = schedule.placement
        let displaced = FailureReserve(after).displaced.map { unit, _ in
            Refusal.each(of: unit, in: after, reason: .noRoomAfterFailure)
        }
        let hosts = space.model.hosts.indices.filter { Refusal.isWanted(of: $0, in: after, objective) }
            .sorted { (objective.energy(after.share(of: $1)), $0) < (objective.energy(after.share(of: $0)), $1) }
        var refusals = hosts.prefix(Self.hostsExplained).flatMap { Refusal.all(of: $0, in: after, objective) }
        for host in hosts.dropFirst(Self.hostsExplained) {
            let name = space.model.hosts[host].name
            refusals.append(Refusal(host: name, reason: .notDetailed(name)))
        }
        for (unit, reason) in schedule.dropped.sorted(by: { $0.key < $1.key }) {
            refusals += Refusal.each(of: unit, in: after, reason: reason)
        }
        refusals += space.model.hosts.indices.compactMap { Refusal.ofOverload(on: $0, in: after, objective) }
        refusals += displaced.flatMap(\.self) + Refusal.ofBrokenRules(in: after, objective)
        return refusals.sorted { ($0.host, $0.vm?.rawValue ?? "") < ($1.host, $1.vm?.rawValue ?? "") }
    }

    private static let hostsExplained = 100
}
