// SPDX-License-Identifier: Apache-2.0
import Fleet

extension Refusal {
    /// Whether it has to be said of a host why its VMs stay: it is hot, or is to be emptied.
    static func isWanted(of host: Int, in placement: Placement, _ objective: Objective) -> Bool {
        objective.contention(on: host, of: placement) != nil
            || placement.space.model.hosts[host].mode == .maintenance
    }

    /// Why each VM stays on such a host; nothing for others.
    static func all(of host: Int, in placement: Placement, _ objective: Objective) -> [Refusal] {
        guard isWanted(of: host, in: placement, objective) else { return [] }
        guard !placement.unitsOn[host].isEmpty else {
            let its = placement.space.model.hosts[host]
            guard its.mode != .maintenance else { return [] }
            return [Refusal(host: its.name, reason: "no VM is here that could move: the load is not of VMs")]
        }
        return placement.unitsOn[host].sorted().flatMap { unit in
            each(of: unit, in: placement, reason: Obstacles(unit, in: placement, objective: objective).words)
        }
    }

    /// The same reason for each VM of a unit.
    static func each(of unit: Int, in placement: Placement, reason: String) -> [Refusal] {
        let space = placement.space
        let host = space.model.hosts[placement.hostOf[unit]].name
        return space.units[unit].members.map { member in
            let vm = space.model.vms[member]
            return Refusal(host: host, vm: vm.id, vmName: vm.name, reason: reason)
        }
    }
}

extension Objective {
    /// What an active host has too much of, in words; `nil`: nothing.
    func contention(on host: Int, of placement: Placement) -> String? {
        guard placement.space.isActive[host] else { return nil }
        let share = placement.share(of: host)
        var words: [String] = []
        if share[Lane.peak] > upper[Lane.peak] {
            words.append("CPU \(percent(share[Lane.peak])) forecast, \(percent(upper[Lane.peak])) allowed")
        }
        if share[Lane.memory] > upper[Lane.memory] {
            words.append("memory \(percent(share[Lane.memory])), \(percent(upper[Lane.memory])) allowed")
        }
        return words.isEmpty ? nil : words.joined(separator: "; ")
    }
}
