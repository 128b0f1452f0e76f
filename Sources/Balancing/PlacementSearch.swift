// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Local search for a better placement: single moves, swaps, restarts.
///
/// Evaluating a candidate takes the same time for any fleet size. `effort` bounds the number of candidates, so that the
/// result depends on input and seed alone; `shouldStop` may end the search earlier.
struct PlacementSearch {
    var placement: Placement
    let space: PlacementSpace
    let objective: Objective
    var effort: Int
    let shouldStop: () -> Bool
    /// Whether `shouldStop` ended the search.
    private(set) var wasCutShort = false
    private(set) var share: [Vector]
    private var energy: [Double]
    /// The slope of each host's balance term per unit of demand; `curvature` is half its constant second derivative.
    private var gradient: [Vector]
    private let curvature: [Vector]
    /// Units by their home.
    let homeUnits: [[Int]]
    var shortlists: Shortlists
    /// Units that were moved to make room for the failure of a host.
    var madeRoom: Set<Int> = []

    init(_ placement: Placement, objective: Objective, effort: Int, shouldStop: @escaping () -> Bool) {
        self.placement = placement
        self.objective = objective
        self.effort = effort
        self.shouldStop = shouldStop
        space = placement.space
        share = placement.used.indices.map { placement.share(of: $0) }
        energy = share.indices.map { placement.space.isActive[$0] ? objective.energy(placement.share(of: $0)) : 0 }
        gradient = share.indices.map { objective.gradient(placement.share(of: $0)) * placement.space.inverse[$0] }
        curvature = share.indices.map { objective.slope * placement.space.inverse[$0] * placement.space.inverse[$0] }
        var homeUnits = [[Int]](repeating: [], count: placement.used.count)
        for (number, unit) in placement.space.units.enumerated() { homeUnits[unit.home].append(number) }
        self.homeUnits = homeUnits
        shortlists = Shortlists(space)
    }

    mutating func isOver() -> Bool {
        if effort <= 0 { return true }
        if !wasCutShort, shouldStop() { wasCutShort = true }
        return wasCutShort
    }

    func isMovable(_ unit: Int) -> Bool { space.units[unit].staysBecause == nil }

    /// Returns the cost of a unit where it is, compared with the placement without it.
    ///
    /// It bounds the gain of the unit's move, apart from the gain of an underused target.
    func cost(of unit: Int) -> Double {
        let host = placement.hostOf[unit]
        var cost = objective.term(space.units[unit], on: host) + brokenApart(unit)
        if space.isActive[host] {
            let demand = space.units[unit].demand
            cost += energy[host] - objective.energy(share[host] - demand * space.inverse[host])
        }
        return cost
    }

    /// Returns the cost of the `apart` rules that the unit breaks where it is.
    private func brokenApart(_ unit: Int) -> Double {
        guard !space.units[unit].apart.isEmpty else { return 0 }
        let host = placement.hostOf[unit]
        return Objective.violation * Double(space.units[unit].apart.count { (placement.apartCount[$0][host] ?? 0) > 1 })
    }

    /// Returns the cost that a unit would add on another host.
    @inline(__always)
    func cost(of unit: Int, on host: Int) -> Double {
        objective.energy(share[host] + space.units[unit].demand * space.inverse[host]) - energy[host]
            + objective.term(space.units[unit], on: host)
    }

    /// Returns the best host for a unit among some, and the gain of the move; `nil` if no move gains.
    mutating func best(for unit: Int, among hosts: some Sequence<Int>) -> (host: Int, gain: Double)? {
        let here = placement.hostOf[unit]
        let costHere = cost(of: unit)
        let demand = space.units[unit].demand
        let home = space.units[unit].home
        let isPlain = space.units[unit].preferredHosts == nil && space.bandwidths.isEmpty
        let away = isPlain ? objective.price * space.units[unit].seconds : nil
        var best: Int?
        var bestGain = Objective.leastGain
        for host in hosts where host != here {
            effort -= 1
            let term = host == home ? nil : away
            let most = costHere - (term ?? objective.term(space.units[unit], on: host))
            // The balance is most of the cost and cheap to compute. Contention and shortage can only add to it.
            let balance = ((gradient[host] + curvature[host] * demand) * demand).sum()
            guard most - balance > bestGain else { continue }
            let gain = most + energy[host] - objective.energy(share[host] + demand * space.inverse[host])
            if gain > bestGain, placement.admits(unit, on: host) {
                bestGain = gain
                best = host
            }
        }
        return best.map { ($0, bestGain) }
    }

    /// Returns the gain if two units swap places.
    @inline(__always)
    mutating func swapGain(_ unit: Int, _ other: Int) -> Double {
        effort -= 1
        let (host, partner) = (placement.hostOf[unit], placement.hostOf[other])
        let (one, two) = (space.units[unit], space.units[other])
        let difference = two.demand - one.demand
        return energy[host] - objective.energy(share[host] + difference * space.inverse[host])
            + energy[partner] - objective.energy(share[partner] - difference * space.inverse[partner])
            + objective.term(one, on: host) - objective.term(one, on: partner)
            + objective.term(two, on: partner) - objective.term(two, on: host)
    }

    mutating func apply(_ unit: Int, to host: Int) {
        let source = placement.hostOf[unit]
        placement.move(unit, to: host)
        shortlists.countMove(from: source, share: placement.share(of: source), objective)
        for changed in [source, host] {
            share[changed] = placement.share(of: changed)
            gradient[changed] = objective.gradient(share[changed]) * space.inverse[changed]
            if space.isActive[changed] { energy[changed] = objective.energy(share[changed]) }
        }
    }
}
