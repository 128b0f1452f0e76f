// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Empties hosts, the least used first, while the others can take their VMs; empty hosts can be powered off.
///
/// No host is filled above its thresholds. The capacity of the hosts that the policy keeps in reserve stays free.
struct Consolidation {
    private(set) var placement: Placement
    private let space: PlacementSpace

    init(_ start: Placement) {
        placement = start
        space = start.space
    }

    mutating func run(shouldStop: () -> Bool) {
        let hosts = space.own.indices.filter { space.isActive[$0] && !placement.unitsOn[$0].isEmpty }
        var open = Set(space.own.indices.filter { space.isActive[$0] })
        let order = hosts.map { (key: heaviest($0), host: $0) }
            .sorted { ($0.key, $0.host) < ($1.key, $1.host) }.map(\.host)
        for host in order where !shouldStop() {
            open.remove(host)
            // A host that was empty before must stay empty, or no power is saved: only hosts with VMs are targets.
            let targets = open.filter { !placement.unitsOn[$0].isEmpty }
            guard hasReserve(without: host, among: targets), empty(host, into: targets) else {
                open.insert(host)
                continue
            }
        }
    }

    private func heaviest(_ host: Int) -> Double {
        let share = placement.share(of: host)
        return max(share[Lane.cpu], share[Lane.memory])
    }

    private func hasReserve(without host: Int, among targets: Set<Int>) -> Bool {
        guard !targets.isEmpty else { return false }
        let reserve = max(0, space.planning.reserveHosts)
        let rooms = targets.map { Self.room(of: $0, in: space) }
        let used = targets.reduce(placement.used[host]) { $0 + placement.used[$1] }
        for lane in [Lane.peak, Lane.memory] {
            let room = rooms.map { $0[lane] }.sorted().dropLast(reserve).reduce(0, +)
            if used[lane] > room { return false }
        }
        return true
    }

    /// Returns the use up to which a host may be filled.
    private static func room(of host: Int, in space: PlacementSpace) -> Vector {
        var room = Vector()
        let its = space.model.hosts[host]
        room[Lane.peak] = its.capacity.cpuCores * space.policy.cpu.upper
        room[Lane.memory] =
            Double(its.capacity.memoryBytes)
            * min(space.policy.memory.upper, space.planning.memoryLimit)
        return room
    }

    /// Moves everything off a host, the largest first, each to the fullest host that fits; nothing if not all fits.
    private mutating func empty(_ host: Int, into targets: Set<Int>) -> Bool {
        let units = placement.unitsOn[host].sorted {
            (space.units[$1].memoryBytes, $0) < (space.units[$0].memoryBytes, $1)
        }
        guard units.allSatisfy({ space.units[$0].staysBecause == nil }) else { return false }
        var tried = placement
        for unit in units {
            let fitting = targets.filter { target in
                let after = tried.used[target] + space.units[unit].demand
                let room = Self.room(of: target, in: space)
                return after[Lane.peak] <= room[Lane.peak] && after[Lane.memory] <= room[Lane.memory]
                    && tried.admits(unit, on: target)
            }
            let best = fitting.min {
                let (left, right) = (tried.share(of: $0)[Lane.memory], tried.share(of: $1)[Lane.memory])
                return (right, $0) < (left, $1)
            }
            guard let best else { return false }
            tried.move(unit, to: best)
        }
        placement = tried
        return true
    }
}
