// SPDX-License-Identifier: Apache-2.0
import Fleet

extension PlacementSearch {
    /// Iterated local search: sends units around random hosts home, settles these hosts, and undoes it if nothing is
    /// gained.
    mutating func improve(using random: inout SplitMix64) {
        let active = share.indices.filter { space.isActive[$0] }
        guard active.count > 1 else { return }
        while !isOver() {
            var journal: [(unit: Int, host: Int)] = []
            var gain = 0.0
            let centre = active[random.below(active.count)]
            var touched: Set<Int> = [centre]
            while touched.count < min(active.count, 1 + random.below(3) + 1) {
                touched.insert(active[random.below(active.count)])
            }
            for unit in unitsTouching(touched.sorted()) where isMovable(unit) {
                let home = space.units[unit].home
                guard placement.hostOf[unit] != home, random.below(2) == 0 else { continue }
                step(unit, to: home, journal: &journal, gain: &gain)
            }
            if random.below(2) == 0 {
                let units = placement.unitsOn[centre].filter { isMovable($0) }
                if !units.isEmpty {
                    let unit = units[random.below(units.count)]
                    step(unit, to: active[random.below(active.count)], journal: &journal, gain: &gain)
                }
            }
            for entry in journal { touched.insert(entry.host) }
            for entry in journal { touched.insert(placement.hostOf[entry.unit]) }
            settle(touched.sorted(), journal: &journal, gain: &gain, random: &random)
            if gain < Objective.leastGain {
                for entry in journal.reversed() { apply(entry.unit, to: entry.host) }
            }
        }
    }

    private func unitsTouching(_ hosts: [Int]) -> [Int] {
        var units: [Int] = []
        for host in hosts {
            units += placement.unitsOn[host]
            units += awayFrom(host)
        }
        return units
    }

    /// Returns the units that have this host as home and are elsewhere.
    private func awayFrom(_ host: Int) -> [Int] { homeUnits[host].filter { placement.hostOf[$0] != host } }

    private mutating func step(
        _ unit: Int,
        to host: Int,
        journal: inout [(unit: Int, host: Int)],
        gain: inout Double
    ) {
        let here = placement.hostOf[unit]
        guard here != host, placement.admits(unit, on: host) else { return }
        gain += cost(of: unit) - cost(of: unit, on: host)
        journal.append((unit, here))
        apply(unit, to: host)
    }

    /// Settles every host, each with every other as partner.
    mutating func settleAll(using random: inout SplitMix64) {
        var journal: [(unit: Int, host: Int)] = []
        var gain = 0.0
        settle(Array(share.indices), partnersEach: share.count, journal: &journal, gain: &gain, random: &random)
    }

    /// Applies the best move or swap of each of these hosts, and of the hosts it changes, until none gains.
    mutating func settle(
        _ hosts: [Int],
        partnersEach: Int = 12,
        journal: inout [(unit: Int, host: Int)],
        gain: inout Double,
        random: inout SplitMix64
    ) {
        var queue = hosts
        while let host = queue.popLast() {
            guard !isOver() else { return }
            let partners = partners(partnersEach, random: &random)
            guard let best = bestChange(of: host, partners: partners) else { continue }
            journal.append((best.unit, placement.hostOf[best.unit]))
            gain += best.gain
            let source = placement.hostOf[best.unit]
            if let other = best.other {
                let target = placement.hostOf[other]
                journal.append((other, target))
                apply(best.unit, to: target)
                apply(other, to: source)
            } else {
                apply(best.unit, to: best.target)
            }
            queue.removeAll { $0 == source || $0 == best.target }
            queue.append(source)
            queue.append(best.target)
        }
    }

    private struct Change {
        var unit: Int
        var other: Int?
        var target: Int
        var gain: Double
    }

    private func partners(_ most: Int, random: inout SplitMix64) -> [Int] {
        guard share.count > most else { return Array(share.indices) }
        return (0..<most).map { _ in random.below(share.count) }
    }

    private mutating func bestChange(of host: Int, partners: [Int]) -> Change? {
        var best: Change?
        var least = Objective.leastGain
        for unit in placement.unitsOn[host] where isMovable(unit) {
            if let found = self.best(for: unit, among: share.indices), found.gain > least {
                least = found.gain
                best = Change(unit: unit, target: found.host, gain: found.gain)
            }
        }
        guard space.isActive[host] else { return best }
        for unit in space.units.indices where placement.hostOf[unit] != host && isMovable(unit) {
            if let found = self.best(for: unit, among: CollectionOfOne(host)), found.gain > least {
                least = found.gain
                best = Change(unit: unit, target: host, gain: found.gain)
            }
        }
        for partner in partners where partner != host && space.isActive[partner] {
            for unit in placement.unitsOn[host] where isMovable(unit) {
                for other in placement.unitsOn[partner] where isMovable(other) {
                    let gain = swapGain(unit, other)
                    guard gain > least, placement.admitsSwap(unit, other) else { continue }
                    least = gain
                    best = Change(unit: unit, other: other, target: partner, gain: gain)
                }
            }
        }
        return best
    }
}
