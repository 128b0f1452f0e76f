// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Turns a fleet in figures into an ordered, executable plan with reasons.
///
/// Pure and deterministic: the same model, policy and seed give the same plan, unless `shouldStop` cuts it short.
public struct Planner: Sendable {
    public var policy: Policy
    public var planning: PlanningPolicy

    /// The most candidates that the improvement of a plan evaluates; small fleets get fewer in proportion.
    ///
    /// The default takes less than a second on one core of 2020.
    public var improvement: Int

    /// Whether the search ends by trying every pair of VMs as a swap, in fleets of up to a thousand VMs.
    public var triesEverySwap: Bool

    /// `planning` overrides that of the policy.
    public init(
        policy: Policy = Policy(),
        planning: PlanningPolicy? = nil,
        improvement: Int = 25_000_000,
        triesEverySwap: Bool = true
    ) {
        self.policy = policy
        self.planning = planning ?? policy.planning
        self.improvement = improvement
        self.triesEverySwap = triesEverySwap
    }

    /// Candidates for each pair of unit and host: beyond this number, an improvement is rarely found.
    static let improvementPerPair = 3000
    /// Candidates for each move: a plan of few moves is near the optimum, and a running fleet is replanned often.
    static let improvementPerMove = 1_000_000
    static let unitsImprovedInFull = 2000.0
    /// In fleets with more hosts, an improvement would be insignificant.
    static let hostsImproved = 1500
    /// Up to this number of units, every pair is tried as a swap at the end.
    static let unitsPaired = 1000

    /// Returns the plan for a fleet.
    ///
    /// When `shouldStop`, which is called now and then, returns true, the best plan so far is returned as cut short.
    public func plan(for model: FleetModel, seed: UInt64 = 0, shouldStop: () -> Bool = { false }) -> Plan {
        withoutActuallyEscaping(shouldStop) { shouldStop in
            let space = PlacementSpace(model.inCanonicalOrder, policy: policy, planning: planning)
            let start = Placement(space)
            let objective = Objective(space)
            var found = search(start, objective: objective, seed: seed, shouldStop: shouldStop)
            if planning.reserveHosts > 0,
                FailureReserve(found.placement).displaced.count > FailureReserve(start).displaced.count
            {
                // No balance is worth the room for a failure.
                found = PlacementSearch(start, objective: objective, effort: .max, shouldStop: shouldStop)
            }
            let wanted = limited(found, from: start, objective: objective)
            let gains: [Double] = space.units.indices.map { unit in
                if wanted[unit] == start.hostOf[unit] { return 0 }
                return found.gain(of: unit, from: start)
                    + (found.madeRoom.contains(unit) ? Objective.violation : 0)
            }
            var schedule = WaveSchedule(from: start, wanted: wanted, priority: gains)
            if !schedule.dropped.isEmpty, planning.maxMoves != nil, planning.strategy == .balance {
                // No moves are left for stops: only moves that can run one after the other remain.
                let direct = topMoves(limit: planning.maxMoves ?? 0, of: found, from: start, objective: objective)
                let other = WaveSchedule(from: start, wanted: direct, priority: gains)
                if objective.value(of: other.placement) < objective.value(of: schedule.placement) { schedule = other }
            }
            if !schedule.dropped.isEmpty, planning.strategy == .balance,
                objective.value(of: schedule.placement) > objective.value(of: start)
            {
                // The part that could be scheduled is worse than no move at all.
                schedule = WaveSchedule(from: start, wanted: start.hostOf, priority: gains)
            }
            return PlanWriter(start: start, schedule: schedule, objective: objective, madeRoom: found.madeRoom)
                .plan(strategy: planning.strategy, wasCutShort: found.wasCutShort)
        }
    }

    private func search(
        _ start: Placement,
        objective: Objective,
        seed: UInt64,
        shouldStop: @escaping () -> Bool
    ) -> PlacementSearch {
        func found(_ placement: Placement) -> PlacementSearch {
            PlacementSearch(placement, objective: objective, effort: .max, shouldStop: shouldStop)
        }
        func ended(_ placement: Placement) -> PlacementSearch {
            var search = found(placement)
            // Records whether the time was over before the strategy had finished.
            _ = search.isOver()
            return search
        }
        switch planning.strategy {
        case .balance: break
        case .threshold, .push, .pull, .pushPull:
            var rule = RuleSearch(necessary(start, level: 1, shouldStop: shouldStop))
            rule.run(planning.strategy, shouldStop: shouldStop)
            return ended(rule.placement)
        case .consolidate:
            var consolidation = Consolidation(necessary(start, level: 2, shouldStop: shouldStop))
            consolidation.run(shouldStop: shouldStop)
            return ended(consolidation.placement)
        }
        var random = SplitMix64(seed: seed)
        var search = found(start)
        settle(&search, using: &random)
        // If no single move or swap gains, no migration is justified by a random find. A plan that was carried out is
        // therefore not followed by another.
        guard search.placement.movedCount > 0, start.space.activeCount <= Self.hostsImproved else { return search }
        let units = max(start.space.units.count, 1)
        // In a large fleet, random changes find less, and each find matters less.
        let share = min(1, Self.unitsImprovedInFull / Double(units))
        search.effort = min(
            Int(Double(improvement) * share),
            Self.improvementPerPair * units * start.space.own.count,
            Self.improvementPerMove * search.placement.movedCount
        )
        search.improve(using: &random)
        search.effort = .max
        // No single change that gains must be left, or it would be the next plan.
        settle(&search, using: &random)
        return search
    }

    /// Makes the moves that rules and maintenance require, from level 2 also those against overload.
    ///
    /// Strategies other than `balance` start from there.
    private func necessary(_ start: Placement, level: Int, shouldStop: @escaping () -> Bool) -> Placement {
        let objective = Objective(start.space, level: level)
        var search = PlacementSearch(start, objective: objective, effort: .max, shouldStop: shouldStop)
        search.keepReserve()
        search.descend()
        return search.placement
    }

    /// Searches until no single change gains and the reserve holds.
    private func settle(_ search: inout PlacementSearch, using random: inout SplitMix64) {
        for _ in 0..<Self.reserveRounds {
            search.keepReserve()
            let placed = search.placement.hostOf
            search.descend()
            if triesEverySwap, search.space.units.count <= Self.unitsPaired { search.settleAll(using: &random) }
            guard planning.reserveHosts > 0, search.placement.hostOf != placed else { return }
        }
        search.keepReserve()
    }

    /// Rounds that try to get both: a gain may use up the reserve, and the reserve may undo a gain.
    private static let reserveRounds = 8

    /// Returns the target of each unit within the limit on moves: those that gain most first.
    private func limited(_ result: PlacementSearch, from start: Placement, objective: Objective) -> [Int] {
        let found = result.placement
        guard let most = planning.maxMoves, found.movedCount > most else { return found.hostOf }
        guard planning.strategy == .balance else {
            // The other strategies compute no gain, so the first moves are as good as any.
            var wanted = start.hostOf
            var room = most
            for unit in wanted.indices where found.hostOf[unit] != wanted[unit] {
                guard found.space.units[unit].members.count <= room else { continue }
                room -= found.space.units[unit].members.count
                wanted[unit] = found.hostOf[unit]
            }
            return wanted
        }
        return topMoves(limit: most, of: result, from: start, objective: objective)
    }

    /// Returns the targets after the moves of a search that gain most, each of them possible when it is made.
    ///
    /// If a move is not possible, its unit may move elsewhere.
    private func topMoves(
        limit most: Int,
        of result: PlacementSearch,
        from start: Placement,
        objective: Objective
    ) -> [Int] {
        let found = result.placement
        var search = PlacementSearch(start, objective: objective, effort: .max, shouldStop: { false })
        var left = found.hostOf.indices.filter { found.hostOf[$0] != start.hostOf[$0] }
        for unit in result.madeRoom.sorted() where left.contains(unit) {
            let room = most - search.placement.movedCount
            guard found.space.units[unit].members.count <= room, search.placement.admits(unit, on: found.hostOf[unit])
            else { continue }
            search.apply(unit, to: found.hostOf[unit])
            left.removeAll { $0 == unit }
        }
        while true {
            let room = most - search.placement.movedCount
            let fitting = left.filter { found.space.units[$0].members.count <= room }
            func best(_ move: (Int) -> (host: Int, gain: Double)?) -> (unit: Int, host: Int)? {
                var best: (unit: Int, host: Int, gain: Double)?
                for unit in fitting {
                    guard let move = move(unit), move.gain > best?.gain ?? 0 else { continue }
                    best = (unit, move.host, move.gain)
                }
                return best.map { ($0.unit, $0.host) }
            }
            let move =
                best { search.best(for: $0, among: CollectionOfOne(found.hostOf[$0])) }
                ?? best { search.bestMove(of: $0) }
            guard let move else { return search.placement.hostOf }
            search.apply(move.unit, to: move.host)
            left.removeAll { $0 == move.unit }
        }
    }
}

extension PlacementSearch {
    /// Returns the loss if a unit's move alone were undone.
    func gain(of unit: Int, from start: Placement) -> Double {
        cost(of: unit, on: start.hostOf[unit]) - cost(of: unit)
    }
}
