// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Which unit is on which host, and what follows from it: loads and running sums, kept up with each move.
struct Placement: Sendable {
    let space: PlacementSpace
    private(set) var hostOf: [Int]
    private(set) var unitsOn: [[Int]]
    /// What is used on each host, its own use included.
    private(set) var used: [Vector]
    /// Sums over the active hosts of used / capacity, and of its square.
    private(set) var sum = Vector()
    private(set) var squares = Vector()
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
        recount()
    }

    /// Takes the sums anew, so that rounding errors do not pile up over many moves.
    mutating func recount() {
        sum = Vector()
        squares = Vector()
        for host in used.indices where space.isActive[host] {
            let share = used[host] * space.inverse[host]
            sum += share
            squares += share * share
        }
    }

    /// Moves a unit; whether it may is the caller's question.
    mutating func move(_ unit: Int, to target: Int) {
        let source = hostOf[unit]
        guard source != target else { return }
        let demand = space.units[unit].demand
        change(source, by: -demand)
        change(target, by: demand)
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

    private mutating func change(_ host: Int, by demand: Vector) {
        if space.isActive[host] {
            let before = used[host] * space.inverse[host]
            let after = (used[host] + demand) * space.inverse[host]
            sum += after - before
            squares += after * after - before * before
        }
        used[host] += demand
    }

    /// Standard deviation over the active hosts of used / capacity.
    var deviation: Vector {
        guard space.activeCount > 0 else { return Vector() }
        let count = Double(space.activeCount)
        let mean = sum / count
        let variance = squares / count - mean * mean
        return variance.replacing(with: 0, where: variance .< 0).squareRoot()
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
