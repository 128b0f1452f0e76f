// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Puts a schedule into words and figures.
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
        // For each host, how many VMs of an `apart` rule are still on it.
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
                reason: reason(move, vm: vm, purpose: purpose, shares: (before, after), seconds: seconds),
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
        if move.isDetour { return .room }
        let unit = space.units[move.unit]
        if space.model.hosts[unit.home].mode == .maintenance { return .drain }
        if unit.mustLeave || breaksApart { return .rule }
        if space.planning.strategy == .consolidate, schedule.placement.unitsOn[unit.home].isEmpty {
            return .consolidate
        }
        if objective.contention(on: unit.home, of: start) != nil { return .contention }
        if let preferred = unit.preferredHosts, !preferred.contains(unit.home), preferred.contains(move.target) {
            return .rule
        }
        if madeRoom.contains(move.unit) { return .reserve }
        // From a host that carries less than its target, a move can only be a part of an exchange.
        func burden(_ host: Int) -> Double { (space.weights * start.share(of: host)).sum() }
        return burden(unit.home) < burden(move.target) ? .room : .balance
    }

    /// What a move evens out most, in words.
    private func evened(_ move: ScheduledMove) -> String {
        func off(_ placement: Placement) -> Vector {
            let source = placement.share(of: move.source) - objective.target
            let target = placement.share(of: move.target) - objective.target
            return objective.slope * (source * source + target * target)
        }
        let gain = off(start) - off(schedule.placement)
        let names = [
            (Lane.cpu, "CPU"), (Lane.memory, "memory"), (Lane.network, "network"), (Lane.disk, "disk"),
            (Lane.vcpus, "VCPUs per CPU"),
        ]
        let most = names.max { (gain[$0.0], $1.0) < (gain[$1.0], $0.0) } ?? names[1]
        func share(_ value: Vector) -> String {
            most.0 == Lane.vcpus ? "\((value[most.0] * 100).rounded() / 100)" : percent(value[most.0])
        }
        let (source, target) = (start.share(of: move.source), start.share(of: move.target))
        return
            "it evens out \(most.1) (\(share(source)) on \(space.model.hosts[move.source].name), \(share(target)) on "
            + "\(space.model.hosts[move.target].name), \(share(objective.target)) in the fleet)"
    }

    private func reason(
        _ move: ScheduledMove,
        vm: VirtualMachine,
        purpose: PlannedMove.Purpose,
        shares: (before: Shares, after: Shares),
        seconds: Double
    ) -> String {
        func change(_ host: KeyPath<Shares, Vector>, _ lane: Int) -> String {
            "from \(percent(shares.before[keyPath: host][lane])) to \(percent(shares.after[keyPath: host][lane]))"
        }
        let source = space.model.hosts[move.source].name
        let target = space.model.hosts[move.target].name
        let why =
            switch purpose {
            case .drain: "\(source) is in maintenance and is to be emptied"
            case .rule: "\(rules(of: move.unit)) would have it elsewhere than on \(source)"
            case .contention:
                "\(source) is overloaded (\(objective.contention(on: move.source, of: start) ?? "it was before"))"
            case .reserve: "room is to be kept for the VMs of a host that fails, and there is none yet"
            case .balance: evened(move)
            case .consolidate: "\(source) is emptied so that it can be powered off"
            case .room where move.isDetour: "it stops on \(target) until its place is free, so that others can move"
            case .room: "it makes room on \(source) for a VM that fits better there"
            }
        let ratio = MigrationCost.dirtyRatio(vm, bandwidth: space.bandwidth(from: move.source, to: move.target))
        let slow =
            ratio >= MigrationCost.mostDirty
            ? ", and its guest dirties memory nearly as fast as the path carries it, or faster: it will be slowed down"
            : ""
        return "\(why); \(vm.name) needs \(cores(vm.demand.cpuCores)) and \(bytesInWords(vm.demand.memoryBytes)); "
            + "\(source) goes \(change(\.source, Lane.cpu)) CPU and \(change(\.source, Lane.memory)) memory, "
            + "\(target) \(change(\.target, Lane.cpu)) and \(change(\.target, Lane.memory)); "
            + "\(worth(of: move)) (about \(Int(min(seconds, 1e9).rounded(.up))) s of migration\(slow))"
    }

    /// What the move gains, in what it costs; left out alone, so much would be lost.
    private func worth(of move: ScheduledMove) -> String {
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
        guard times >= 1 else { return "other moves gain by what it costs" }
        if times >= 1000 { return "it gains over 1000 times what it costs" }
        let words = times < 10 ? "\((times * 10).rounded() / 10)" : "\(Int(times.rounded()))"
        return "it gains \(words) times what it costs"
    }

    /// The names of the rules that a unit's home breaks.
    private func rules(of unit: Int) -> String {
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
        let names = broken.map(\.name).sorted()
        return "\(names.count == 1 ? "rule" : "rules") \(names.joined(separator: ", "))"
    }

    // MARK: hosts

    private func judgement(_ host: Int) -> Judgement {
        let its = space.model.hosts[host]
        if let judgement = its.judgement { return judgement }
        func judge(_ verdict: Judgement.Verdict, _ reason: String) -> Judgement {
            Judgement(host: its.name, verdict: verdict, reason: reason)
        }
        switch its.mode {
        case .settling: return judge(.settling, "a move that changes it has not settled yet")
        case .stale: return judge(.unknown, "no fresh figures")
        case .distrusted: return judge(.distrusted, "its claims are not believed")
        case .failed: return judge(.unknown, "failed")
        case .active, .maintenance: break
        }
        if let contention = objective.contention(on: host, of: start) { return judge(.overloaded, contention) }
        let share = start.share(of: host)
        let isLight = space.policy.isLight(cpu: share[Lane.cpu], memory: share[Lane.memory])
        return judge(isLight ? .light : .calm, "CPU \(percent(share[Lane.cpu])), memory \(percent(share[Lane.memory]))")
    }

    // MARK: what is not done

    /// For each VM that was dropped, and each VM of a host that stays hot or is not emptied: why it stays.
    ///
    /// Where very many hosts stay hot, the least burdened of them get one sentence each.
    private func refusals() -> [Refusal] {
        let after = schedule.placement
        let homeless = FailureReserve(after).homeless.map { unit, _ in
            Refusal.each(of: unit, in: after, reason: "if its host failed, it would find no room on another")
        }
        let hosts = space.model.hosts.indices.filter { Refusal.isWanted(of: $0, in: after, objective) }
            .sorted { (objective.energy(after.share(of: $1)), $0) < (objective.energy(after.share(of: $0)), $1) }
        var refusals = hosts.prefix(Self.hostsExplained).flatMap { Refusal.all(of: $0, in: after, objective) }
        for host in hosts.dropFirst(Self.hostsExplained) {
            let name = space.model.hosts[host].name
            refusals.append(Refusal(host: name, reason: "evenkeel explain \(name) says why each of its VMs stays"))
        }
        for (unit, reason) in schedule.dropped.sorted(by: { $0.key < $1.key }) {
            refusals += Refusal.each(of: unit, in: after, reason: reason)
        }
        refusals += space.model.hosts.indices.compactMap { Refusal.ofOverload(on: $0, in: after, objective) }
        refusals += homeless.flatMap(\.self) + Refusal.ofBrokenRules(in: after, objective)
        return refusals.sorted { ($0.host, $0.vm?.rawValue ?? "") < ($1.host, $1.vm?.rawValue ?? "") }
    }

    private static let hostsExplained = 100
}
