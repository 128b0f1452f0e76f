// SPDX-License-Identifier: Apache-2.0
import Fleet

/// One move of one VM in the order of execution.
struct ScheduledMove: Sendable, Equatable {
    var unit: Int
    /// Its number in `FleetModel.vms`.
    var member: Int
    var source: Int
    var target: Int
    var wave: Int
    /// Whether the target is only a stop, which breaks a cycle.
    var isStop: Bool
}

/// The order in which a placement is reached, in waves.
///
/// The moves of a wave run in parallel; the next wave begins when all of them have ended. A VM on its way takes room on
/// both hosts until its wave has ended. The VMs of a `together` rule follow one another in consecutive waves, and are
/// separate only during these. Room for all of them is held from the first wave.
///
/// It always terminates: each wave begins a move or drops one, and a unit takes at most one detour.
struct WaveSchedule: Sendable {
    private(set) var moves: [ScheduledMove] = []
    /// Units that do not reach their target, and why.
    private(set) var dropped: [Int: RefusalReason] = [:]
    /// The placement after the last wave.
    private(set) var placement: Placement

    private let wanted: [Int]
    /// The limit on moves, stops included.
    private let most: Int
    /// Units whose first member has not moved yet, most important first.
    private var pending: [Int]
    /// Units of which some members have moved.
    private var underWay: [(unit: Int, source: Int, target: Int, left: [Int])] = []
    private var detoured: Set<Int> = []
    private var wave = 0
    private var limits: WaveLimits
    /// VMs moved in this wave, which take room on their source until it ends.
    private var leaving: [(unit: Int, source: Int, demand: Vector)] = []

    /// `wanted`: the target of each unit, within the policy's limit on moves; `priority`: the highest goes first.
    init(from start: Placement, wanted: [Int], priority: [Double]) {
        var wanted = wanted
        var reasons: [Int: RefusalReason] = [:]
        while true {
            self.init(once: start, wanted: wanted, priority: priority)
            // A unit that would get no further than its stop stays at home.
            let stranded = detoured.intersection(dropped.keys)
            reasons.merge(dropped.filter { stranded.contains($0.key) }) { first, _ in first }
            guard !stranded.isEmpty else { break }
            for unit in stranded { wanted[unit] = start.hostOf[unit] }
        }
        dropped.merge(reasons) { first, _ in first }
    }

    private init(once start: Placement, wanted: [Int], priority: [Double]) {
        placement = start
        self.wanted = wanted
        most = start.space.planning.maxMoves ?? .max
        limits = WaveLimits(start.space)
        pending = wanted.indices.filter { wanted[$0] != start.hostOf[$0] }
            .sorted { (priority[$0], $1) > (priority[$1], $0) }
        while !pending.isEmpty || !underWay.isEmpty { makeWave() }
    }

    private mutating func makeWave() {
        let before = moves.count
        continueUnitsUnderWay()
        beginUnits()
        if moves.count == before, !(wave == 0 && limits.countsMovesInFlight) { breakDeadlock() }
        for one in leaving {
            let isLast = !underWay.contains { $0.unit == one.unit }
            placement.release(one.demand, of: one.unit, on: one.source, isLast: isLast)
        }
        leaving = []
        limits.beginWave()
        wave += 1
    }

    private mutating func continueUnitsUnderWay() {
        var left: [(unit: Int, source: Int, target: Int, left: [Int])] = []
        for var one in underWay {
            if let member = one.left.first, limits.admit(one.source, one.target) {
                one.left.removeFirst()
                append(
                    one.unit,
                    member: member,
                    from: one.source,
                    to: one.target,
                    isStop: wanted[one.unit] != one.target
                )
            }
            if !one.left.isEmpty { left.append(one) }
        }
        underWay = left
    }

    private mutating func beginUnits() {
        var left: [Int] = []
        left.reserveCapacity(pending.count)
        for (index, unit) in pending.enumerated() {
            guard !limits.isFull else {
                left += pending[index...]
                break
            }
            let source = placement.hostOf[unit]
            if underWay.contains(where: { $0.unit == unit }) || leaving.contains(where: { $0.unit == unit })
                || !placement.admitsHop(unit, to: wanted[unit]) || !limits.admit(source, wanted[unit])
            {
                left.append(unit)
                continue
            }
            begin(unit, to: wanted[unit], isStop: false)
        }
        pending = left
    }

    private mutating func begin(_ unit: Int, to target: Int, isStop: Bool) {
        let source = placement.hostOf[unit]
        let members = placement.space.units[unit].members
        placement.claim(unit, on: target)
        append(unit, member: members[0], from: source, to: target, isStop: isStop)
        if members.count > 1 {
            underWay.append((unit, source, target, Array(members.dropFirst())))
        }
    }

    private mutating func append(_ unit: Int, member: Int, from source: Int, to target: Int, isStop: Bool) {
        let move = ScheduledMove(
            unit: unit,
            member: member,
            source: source,
            target: target,
            wave: wave,
            isStop: isStop
        )
        moves.append(move)
        leaving.append((unit, source, placement.space.demand(ofVM: member)))
    }

    /// Resolves a deadlock, in which every pending unit waits for room of another: one takes a detour or is dropped.
    private mutating func breakDeadlock() {
        let bySize = pending.sorted {
            (placement.space.units[$0].memoryBytes, $0) < (placement.space.units[$1].memoryBytes, $1)
        }
        let outstanding =
            underWay.reduce(0) { $0 + $1.left.count }
            + pending.reduce(0) { $0 + placement.space.units[$1].members.count }
        for unit in bySize where !detoured.contains(unit) {
            guard most - moves.count - outstanding >= placement.space.units[unit].members.count else { continue }
            guard let stop = stop(for: unit) else { continue }
            detoured.insert(unit)
            _ = limits.admit(placement.hostOf[unit], stop)
            begin(unit, to: stop, isStop: true)
            return
        }
        guard let last = pending.popLast() else { return }
        let target = placement.space.model.hosts[wanted[last]].name
        dropped[last] = .deadlock(target: target, isLimited: most < .max)
    }

    /// Returns the emptiest host that can take the unit for a while and from which it can move on.
    private func stop(for unit: Int) -> Int? {
        let space = placement.space
        let final = space.model.hosts[wanted[unit]]
        let candidates = space.own.indices.filter { host in
            guard host != placement.hostOf[unit], host != wanted[unit], space.isActive[host] else { return false }
            if let here = space.model.hosts[host].hypervisor, let there = final.hypervisor,
                PlacementClass.Hypervisor(here).obstacle(on: there) != nil
            {
                return false
            }
            guard !space.closed.contains(wanted[unit] << 32 | host) else { return false }
            return placement.admitsHop(unit, to: host)
        }
        return candidates.min {
            (placement.share(of: $0)[Lane.memory], $0) < (placement.share(of: $1)[Lane.memory], $1)
        }
    }
}

/// The number of moves that may run in parallel.
private struct WaveLimits: Sendable {
    private let perHost: Int
    private let inAll: Int
    private var total = 0
    private var onHost: [Int: Int] = [:]
    private var paths: Set<Int> = []
    private(set) var countsMovesInFlight = false

    init(_ space: PlacementSpace) {
        perHost = max(1, space.policy.movesPerHost)
        inAll = max(1, space.policy.movesInAll)
        for move in space.model.movesInFlight {
            countsMovesInFlight = true
            total += 1
            guard let source = space.hostNumbers[move.source], let target = space.hostNumbers[move.target] else {
                continue
            }
            onHost[source, default: 0] += 1
            onHost[target, default: 0] += 1
            paths.insert(source << 32 | target)
        }
    }

    var isFull: Bool { total >= inAll }

    /// Counts a move and returns true if it may run in parallel with the others.
    mutating func admit(_ source: Int, _ target: Int) -> Bool {
        guard !isFull, onHost[source, default: 0] < perHost, onHost[target, default: 0] < perHost else { return false }
        // The evidence of a move is the traffic of the tunnel meanwhile: of two moves, each would vouch for the other.
        guard paths.insert(source << 32 | target).inserted else { return false }
        total += 1
        onHost[source, default: 0] += 1
        onHost[target, default: 0] += 1
        return true
    }

    mutating func beginWave() {
        total = 0
        onHost = [:]
        paths = []
        countsMovesInFlight = false
    }
}
