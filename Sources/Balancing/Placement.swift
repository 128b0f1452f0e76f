// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Which unit is on which host, and what follows from it, kept up with each move.
struct Placement: Sendable {
    let space: PlacementSpace
    private(set) var hostOf: [Int]
    private(set) var unitsOn: [[Int]]
    /// What is used on each host, its own use included.
    private(set) var used: [Vector]
    /// For each `apart` rule, how many of its units each host has.
    private(set) var apartCount: [[Int: Int]]
    private(set) var movedSeconds = 0.0
    private(set) var movedCount = 0

    init(_ space: PlacementSpace) {
        self.space = space
        hostOf = space.units.map(\.home)
        unitsOn = Array(repeating: [], count: space.own.count)
        used = space.own
        apartCount = Array(repeating: [:], count: space.model.rules.count)
        for (number, unit) in space.units.enumerated() {
            unitsOn[unit.home].append(number)
            used[unit.home] += unit.demand
            for rule in unit.apart { apartCount[rule][unit.home, default: 0] += 1 }
        }
    }

    /// Moves a unit; whether it may is the caller's question.
    mutating func move(_ unit: Int, to target: Int) {
        let source = hostOf[unit]
        guard source != target else { return }
        let demand = space.units[unit].demand
        used[source] -= demand
        used[target] += demand
        if let index = unitsOn[source].firstIndex(of: unit) { unitsOn[source].remove(at: index) }
        unitsOn[target].append(unit)
        hostOf[unit] = target
        let home = space.units[unit].home
        if source == home {
            movedSeconds += space.units[unit].seconds
            movedCount += space.units[unit].members.count
        } else if target == home {
            movedSeconds -= space.units[unit].seconds
            movedCount -= space.units[unit].members.count
        }
        for rule in space.units[unit].apart {
            apartCount[rule][source, default: 0] -= 1
            apartCount[rule][target, default: 0] += 1
        }
    }

    /// Takes room for a unit on its target, which it reaches later; its source is released separately.
    mutating func claim(_ unit: Int, on target: Int) {
        let source = hostOf[unit]
        if let index = unitsOn[source].firstIndex(of: unit) { unitsOn[source].remove(at: index) }
        unitsOn[target].append(unit)
        hostOf[unit] = target
        used[target] += space.units[unit].demand
        for rule in space.units[unit].apart { apartCount[rule][target, default: 0] += 1 }
    }

    /// Gives back what a VM of a claimed unit held on its source; the last one takes the unit's rules along.
    mutating func release(_ demand: Vector, of unit: Int, on source: Int, isLast: Bool) {
        used[source] -= demand
        guard isLast else { return }
        for rule in space.units[unit].apart { apartCount[rule][source, default: 0] -= 1 }
    }

    /// Whether a host may take the unit now, coming from where it is.
    func admitsHop(_ unit: Int, to host: Int) -> Bool {
        let one = space.units[unit]
        return (host == one.home || space.allowed[one.placementClass][host])
            && all(used[host] + one.demand .<= space.limit[host])
            && one.avoids[host] == nil
            && !one.apart.contains { (apartCount[$0][host] ?? 0) > 0 }
            && !space.closed.contains(host << 32 | hostOf[unit])
    }

    /// Used / capacity of a host.
    func share(of host: Int) -> Vector { used[host] * space.inverse[host] }

    /// Standard deviation over the active hosts of used / capacity.
    var deviation: Vector { deviation(adding: Vector(), to: 0) }

    /// The same with something more on one host.
    func deviation(adding demand: Vector, to changed: Int) -> Vector {
        let hosts = used.indices.filter { space.isActive[$0] }
        guard !hosts.isEmpty else { return Vector() }
        let shares = hosts.map { share(of: $0) + ($0 == changed ? demand * space.inverse[$0] : Vector()) }
        let mean = shares.reduce(into: Vector()) { $0 += $1 } / Double(hosts.count)
        let squares = shares.reduce(into: Vector()) { $0 += ($1 - mean) * ($1 - mean) }
        return (squares / Double(hosts.count)).squareRoot()
    }

    /// Whether a unit's stay where it is breaks a rule or keeps a host from being emptied.
    func isMisplaced(_ unit: Int) -> Bool {
        let one = space.units[unit]
        return hostOf[unit] == one.home && one.mustLeave
    }

    /// Whether the host may take the unit now.
    func admits(_ unit: Int, on host: Int) -> Bool {
        let one = space.units[unit]
        guard host == one.home || space.allowed[one.placementClass][host] else { return false }
        guard all(used[host] + one.demand .<= space.limit[host]) else { return false }
        if !one.avoids.isEmpty, one.avoids[host] != nil { return false }
        if !one.apart.isEmpty, one.apart.contains(where: { (apartCount[$0][host] ?? 0) > 0 }) { return false }
        if !space.closed.isEmpty, space.closed.contains(host << 32 | one.home) { return false }
        return true
    }

    /// Whether two units may change places, each being admitted where the other leaves.
    func admitsSwap(_ unit: Int, _ other: Int) -> Bool {
        var after = self.used[hostOf[other]]
        let (host, partner) = (hostOf[unit], hostOf[other])
        let (one, two) = (space.units[unit], space.units[other])
        guard partner == one.home || space.allowed[one.placementClass][partner],
            host == two.home || space.allowed[two.placementClass][host],
            one.avoids[partner] == nil, two.avoids[host] == nil
        else { return false }
        after += one.demand - two.demand
        guard all(after .<= space.limit[partner]) else { return false }
        guard all(used[host] - one.demand + two.demand .<= space.limit[host]) else { return false }
        if one.apart.contains(where: { (apartCount[$0][partner] ?? 0) > 0 }) { return false }
        if two.apart.contains(where: { (apartCount[$0][host] ?? 0) > 0 }) { return false }
        guard !space.closed.isEmpty else { return true }
        return !space.closed.contains(partner << 32 | one.home) && !space.closed.contains(host << 32 | two.home)
    }

    /// Why the host may not take the unit now; `nil` when it may.
    func obstacle(_ unit: Int, on host: Int) -> String? {
        let one = space.units[unit]
        let its = space.model.hosts[host]
        if let obstacle = space.classes[one.placementClass].obstacle(on: its, number: host) { return obstacle }
        if let reason = one.avoids[host] { return reason }
        if space.closed.contains(host << 32 | one.home) { return "a move leaked on the way there: the path is closed" }
        let after = used[host] + one.demand
        if after[Lane.memory] > space.limit[host][Lane.memory] {
            let free = max(0, space.limit[host][Lane.memory] - used[host][Lane.memory])
            return "\(mebibytes(UInt64(free))) of memory free, \(mebibytes(UInt64(one.memoryBytes))) needed"
        }
        if after[Lane.vcpus] > space.limit[host][Lane.vcpus] {
            return "\(Int(after[Lane.vcpus])) VCPUs would be on \(its.cpus) CPUs, over the ratio allowed"
        }
        if let rule = one.apart.first(where: { (apartCount[$0][host] ?? 0) > 0 }) {
            return "rule \(space.model.rules[rule].name) keeps it apart from a VM there"
        }
        return nil
    }
}
