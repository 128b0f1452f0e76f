// SPDX-License-Identifier: Apache-2.0
import Fleet

extension PlacementSearch {
    /// Up to this number of units the steepest descent is affordable.
    static var unitsSteepest: Int { 5000 }

    /// Moves units until no single move gains.
    mutating func descend() {
        if space.units.count <= Self.unitsSteepest {
            descendSteepest()
        } else {
            descendHostByHost()
        }
    }

    /// Applies the moves that gain most first.
    ///
    /// The gains of all units are computed, then applied from the largest down as long as they hold. This is nearly
    /// steepest descent at a fraction of its cost.
    private mutating func descendSteepest() {
        while !isOver() {
            let candidates = gains()
            guard let most = candidates.first?.gain else { return }
            var applied = 0
            for candidate in candidates where candidate.gain >= most * 0.5 {
                guard !isOver() else { return }
                guard let best = bestMove(of: candidate.unit) else { continue }
                // Other moves may have reduced the gain: the next round evaluates it again.
                guard best.gain >= candidate.gain * 0.9 else { continue }
                apply(candidate.unit, to: best.host)
                applied += 1
            }
            guard applied > 0 else { return }
        }
    }

    private struct Candidate {
        var unit: Int
        var host: Int
        var gain: Double
    }

    /// Returns every unit's best move, the largest gain first.
    private mutating func gains() -> [Candidate] {
        var candidates: [Candidate] = []
        for unit in space.units.indices where isMovable(unit) {
            if unit & 0xff == 0, isOver() { break }
            guard let best = bestMove(of: unit) else { continue }
            candidates.append(Candidate(unit: unit, host: best.host, gain: best.gain))
        }
        return candidates.sorted { ($0.gain, $1.unit) > ($1.gain, $0.unit) }
    }

    /// Relieves host after host, the most loaded first, until a pass over all hosts finds no move.
    private mutating func descendHostByHost() {
        while !isOver() {
            shortlists.forget()
            var applied = 0
            for host in hostsMostBurdenedFirst() {
                while !isOver(), let best = bestMove(from: host) {
                    apply(best.unit, to: best.host)
                    applied += 1
                }
            }
            guard applied > 0 else { return }
        }
    }

    private mutating func bestMove(from host: Int) -> Candidate? {
        var best: Candidate?
        for unit in placement.unitsOn[host] where isMovable(unit) {
            guard let move = bestMove(of: unit), move.gain > best?.gain ?? 0 else { continue }
            best = Candidate(unit: unit, host: move.host, gain: move.gain)
        }
        return best
    }

    /// Returns the hosts by load; hosts to be emptied come first.
    private func hostsMostBurdenedFirst() -> [Int] {
        share.indices.filter { !placement.unitsOn[$0].isEmpty }
            .map { (host: $0, burden: space.isActive[$0] ? objective.energy(share[$0]) : .infinity) }
            .sorted { ($0.burden, $1.host) > ($1.burden, $0.host) }
            .map(\.host)
    }

    /// Returns the best host for a unit on the shortlist of its class.
    ///
    /// If the list has none, and the unit or its host is in trouble, every host is tried.
    mutating func bestMove(of unit: Int) -> (host: Int, gain: Double)? {
        let number = space.units[unit].placementClass
        let list =
            shortlists.list(number)
            ?? shortlists.make(number, share: share, space: space, objective: objective)
        let isAtHome = placement.hostOf[unit] == space.units[unit].home
        let leastTerm = isAtHome ? objective.price * space.leastSeconds(space.units[unit]) : 0
        let most = cost(of: unit) - leastTerm
        let demand = space.units[unit].demand
        let slope = objective.slope
        var found: (host: Int, gain: Double)?
        for part in list.parts {
            let gain = found?.gain ?? Objective.leastGain
            guard most - part.leastCost(of: demand, slope: slope) > gain else { continue }
            if let move = self.best(for: unit, among: part.hosts), move.gain > gain { found = move }
        }
        if let found { return found }
        guard !list.isComplete, isInTrouble(unit) else { return nil }
        return best(for: unit, among: share.indices)
    }

    private func isInTrouble(_ unit: Int) -> Bool {
        let host = placement.hostOf[unit]
        return space.isActive[host] && any(share[host] .> objective.upper) && any(objective.contention .> 0)
            || objective.term(space.units[unit], on: host) >= Objective.preference
            || space.units[unit].apart.contains { (placement.apartCount[$0][host] ?? 0) > 1 }
    }
}
