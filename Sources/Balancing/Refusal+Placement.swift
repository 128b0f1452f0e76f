// SPDX-License-Identifier: Apache-2.0
import Fleet

extension Refusal {
    /// Returns whether the plan must explain why a host's VMs stay: it is overloaded or is to be emptied.
    static func isWanted(of host: Int, in placement: Placement, _ objective: Objective) -> Bool {
        let mode = placement.space.model.hosts[host].mode
        return !objective.contention(on: host, of: placement).isEmpty || mode == .maintenance || mode == .failed
    }

    /// Returns why each VM stays on such a host; empty for other hosts.
    static func all(of host: Int, in placement: Placement, _ objective: Objective) -> [Refusal] {
        guard isWanted(of: host, in: placement, objective) else { return [] }
        guard !placement.unitsOn[host].isEmpty else {
            let its = placement.space.model.hosts[host]
            guard its.mode == .active else { return [] }
            return [Refusal(host: its.name, reason: .loadIsNotOfVMs)]
        }
        return placement.unitsOn[host].sorted().flatMap { unit in
            each(of: unit, in: placement, reason: Obstacles(unit, in: placement, objective: objective).reason)
        }
    }

    /// Returns why a host that is judged overloaded is not relieved, if its VMs' expected demand causes no overload.
    static func ofOverload(on host: Int, in placement: Placement, _ objective: Objective) -> Refusal? {
        let its = placement.space.model.hosts[host]
        guard its.judgement?.verdict == .overloaded, !isWanted(of: host, in: placement, objective) else { return nil }
        return Refusal(host: its.name, reason: .overloadPasses)
    }

    /// Returns, for each VM that breaks a rule where it is, the rule and why the VM stays.
    static func ofBrokenRules(in placement: Placement, _ objective: Objective) -> [Refusal] {
        let space = placement.space
        return space.units.indices.flatMap { unit -> [Refusal] in
            let host = placement.hostOf[unit]
            guard !isWanted(of: host, in: placement, objective) else { return [] }
            let rules = placement.brokenRules(of: unit).map {
                RefusalReason.BrokenRule(name: $0.name, kind: $0.kind)
            }
            guard !rules.isEmpty else { return [] }
            let why = Obstacles(unit, in: placement, objective: objective).reason
            return each(of: unit, in: placement, reason: .breaksRules(rules, because: why))
        }
    }

    /// Returns the same reason for each VM of a unit.
    static func each(of unit: Int, in placement: Placement, reason: RefusalReason) -> [Refusal] {
        let space = placement.space
        let host = space.model.hosts[placement.hostOf[unit]].name
        return space.units[unit].members.map { member in
            let vm = space.model.vms[member]
            return Refusal(host: host, vm: vm.id, vmName: vm.name, reason: reason)
        }
    }
}

extension Objective {
    /// Returns the resources that are overused on an active host.
    func contention(on host: Int, of placement: Placement) -> [Contention] {
        guard placement.space.isActive[host] else { return [] }
        let share = placement.share(of: host)
        var contention: [Contention] = []
        if share[Lane.peak] > upper[Lane.peak] {
            let isForecast = wholePercent(share[Lane.peak]) != wholePercent(share[Lane.cpu])
            contention.append(.cpu(share: share[Lane.peak], allowed: upper[Lane.peak], isForecast: isForecast))
        } else if share[Lane.present] > 1, lackCounts {
            contention.append(.cpuNow(share: share[Lane.present]))
        }
        if share[Lane.memory] > upper[Lane.memory] {
            contention.append(.memory(share: share[Lane.memory], allowed: upper[Lane.memory]))
        }
        return contention
    }
}

extension Placement {
    /// Returns the rules that a unit breaks where it is.
    func brokenRules(of unit: Int) -> [PlacementRule] {
        let one = space.units[unit]
        guard one.mustLeave || !one.apart.isEmpty else {
            return []
        }
        let host = space.model.hosts[hostOf[unit]].name
        let members = Set(one.members.map { space.model.vms[$0].id })
        return space.model.rules.indices.filter { number in
            let rule = space.model.rules[number]
            guard !members.isDisjoint(with: rule.vms) else { return false }
            switch rule.kind {
            case .onlyOn: return !rule.hosts.contains(host)
            case .neverOn: return rule.hosts.contains(host)
            case .apart: return (apartCount[number][hostOf[unit]] ?? 0) > 1
            case .together: return false
            case .preferably: return false
            }
        }.map { space.model.rules[$0] }
    }
}
