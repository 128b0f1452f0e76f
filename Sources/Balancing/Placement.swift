// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The host of each unit and the resulting load of each host, updated with each move.
struct Placement: Sendable {
    let space: PlacementSpace
    private(set) var hostOf: [Int]
    private(set) var unitsOn: [[Int]]
    /// The use of each host, its own included.
    private(set) var used: [Vector]
    /// For each `apart` rule, the number of its units on each host.
    private(set) var apartCount: [[Int: Int]]
    /// The limits of the space, less the memory kept for failures.
    private(set) var limit: [Vector]
    private(set) var movedCount = 0

    init(_ space: PlacementSpace) {
        self.space = space
        hostOf = space.units.map(\.home)
        unitsOn = Array(repeating: [], count: space.own.count)
        used = space.own
        limit = space.limit
        apartCount = Array(repeating: [:], count: space.model.rules.count)
        for (number, unit) in space.units.enumerated() {
            unitsOn[unit.home].append(number)
            used[unit.home] += unit.demand
            for rule in unit.apart { apartCount[rule][unit.home, default: 0] += 1 }
        }
    }

    /// Creates the placement after a plan has been carried out.
    init(_ space: PlacementSpace, after plan: Plan) {
        self.init(space)
        let numbers = Dictionary(
            space.model.vms.enumerated().map { ($1.id, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        for move in plan.moves {
            guard let vm = numbers[move.vm], let target = space.hostNumbers[move.target] else { continue }
            self.move(space.unitOfVM[vm], to: target)
        }
    }

    /// Keeps these bytes of each host's memory free, instead of those kept before.
    mutating func keep(_ bytes: [Double]) {
        limit = space.limit
        for host in bytes.indices { limit[host][Lane.memory] -= bytes[host] }
    }

    /// Moves a unit; the caller checks whether it may move.
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
            movedCount += space.units[unit].members.count
        } else if target == home {
            movedCount -= space.units[unit].members.count
        }
        for rule in space.units[unit].apart {
            apartCount[rule][source, default: 0] -= 1
            apartCount[rule][target, default: 0] += 1
        }
    }

    /// Books room for a unit on its target, which it reaches later; `release` frees its source.
    mutating func claim(_ unit: Int, on target: Int) {
        let source = hostOf[unit]
        if let index = unitsOn[source].firstIndex(of: unit) { unitsOn[source].remove(at: index) }
        unitsOn[target].append(unit)
        hostOf[unit] = target
        used[target] += space.units[unit].demand
        for rule in space.units[unit].apart { apartCount[rule][target, default: 0] += 1 }
    }

    /// Frees the room of a claimed unit's VM on its source; the unit's rules end there with its last VM.
    mutating func release(_ demand: Vector, of unit: Int, on source: Int, isLast: Bool) {
        used[source] -= demand
        guard isLast else { return }
        for rule in space.units[unit].apart { apartCount[rule][source, default: 0] -= 1 }
    }

    /// Returns whether a host may take the unit now from its current host, without regard to the failure reserve.
    func admitsHop(_ unit: Int, to host: Int) -> Bool {
        let one = space.units[unit]
        return (host == one.home || space.allowed[one.placementClass][host])
            && all(used[host] + one.demand .<= space.limit[host])
            && one.avoids[host] == nil
            && !one.apart.contains { (apartCount[$0][host] ?? 0) > 0 }
            && !space.closed.contains(host << 32 | hostOf[unit])
    }

    /// Returns used / capacity of a host.
    func share(of host: Int) -> Vector { used[host] * space.inverse[host] }

    /// The spread of used / capacity over the active hosts.
    var spread: Spread {
        var spread = Spread()
        for host in used.indices where space.isActive[host] { spread.add(share(of: host)) }
        return spread
    }

    /// Returns whether a unit that stays breaks a rule or keeps a host from being emptied.
    func isMisplaced(_ unit: Int) -> Bool {
        let one = space.units[unit]
        return hostOf[unit] == one.home && one.mustLeave
    }

    /// Returns whether the host may take the unit now.
    func admits(_ unit: Int, on host: Int) -> Bool {
        let one = space.units[unit]
        guard host == one.home || space.allowed[one.placementClass][host] else { return false }
        guard all(used[host] + one.demand .<= limit[host]) else { return false }
        if !one.avoids.isEmpty, one.avoids[host] != nil { return false }
        if !one.apart.isEmpty, one.apart.contains(where: { (apartCount[$0][host] ?? 0) > 0 }) { return false }
        if !space.closed.isEmpty, space.closed.contains(host << 32 | one.home) { return false }
        return true
    }

    /// Returns whether two units may swap places.
    func admitsSwap(_ unit: Int, _ other: Int) -> Bool {
        var after = self.used[hostOf[other]]
        let (host, partner) = (hostOf[unit], hostOf[other])
        let (one, two) = (space.units[unit], space.units[other])
        guard partner == one.home || space.allowed[one.placementClass][partner],
            host == two.home || space.allowed[two.placementClass][host],
            one.avoids[partner] == nil, two.avoids[host] == nil
        else { return false }
        after += one.demand - two.demand
        guard all(after .<= limit[partner]) else { return false }
        guard all(used[host] - one.demand + two.demand .<= limit[host]) else { return false }
        if one.apart.contains(where: { (apartCount[$0][partner] ?? 0) > 0 }) { return false }
        if two.apart.contains(where: { (apartCount[$0][host] ?? 0) > 0 }) { return false }
        guard !space.closed.isEmpty else { return true }
        return !space.closed.contains(partner << 32 | one.home) && !space.closed.contains(host << 32 | two.home)
    }

    /// Returns why the host must not take the unit, however much room it has; `nil` if it may.
    func prohibition(_ unit: Int, on host: Int) -> Obstacle? {
        let one = space.units[unit]
        if host != one.home, !space.allowed[one.placementClass][host] {
            return space.classes[one.placementClass].obstacle(on: space.model.hosts[host], number: host)
        }
        if let reason = one.avoids[host] { return reason }
        if space.closed.contains(host << 32 | one.home) { return .pathClosed }
        return nil
    }
}

/// The standard deviation of shares, updated as they change.
struct Spread: Sendable {
    private var count = 0.0
    /// The first share; sums are of distances from it, because squares of nearly equal shares would cancel.
    private var origin = Vector()
    private var sum = Vector()
    private var squares = Vector()

    mutating func add(_ share: Vector) {
        if count == 0 { origin = share }
        count += 1
        sum += share - origin
        squares += (share - origin) * (share - origin)
    }

    /// Returns the deviation with one share replaced by another.
    func deviation(replacing old: Vector, with new: Vector) -> Vector {
        var changed = self
        changed.sum += new - old
        changed.squares += (new - origin) * (new - origin) - (old - origin) * (old - origin)
        return changed.deviation
    }

    var deviation: Vector {
        guard count > 0 else { return Vector() }
        let mean = sum / count
        let variance = squares / count - mean * mean
        return variance.replacing(with: 0, where: variance .< 0).squareRoot()
    }
}
