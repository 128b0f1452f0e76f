// SPDX-License-Identifier: Apache-2.0
import Fleet

/// For each placement class, the hosts that are the best candidates for its units.
///
/// With thousands of hosts, evaluating all of them for every unit takes too long, and nearly all are no candidates.
struct Shortlists {
    /// Up to this number of allowed hosts, all of them are on the list.
    static let mostHosts = 256
    /// Size of a part: the best hosts in each resource make one part each, then come the best for a mean unit.
    static let hostsPerPart = 24
    /// A list is rebuilt after this number of moves.
    static let movesUntilStale = 64

    struct List {
        /// Hosts with the same strengths, so that a whole part can be skipped.
        var parts: [Part]
        /// Whether every allowed host is on the list.
        var isComplete: Bool
        fileprivate var madeAt: Int
    }

    struct Part {
        let hosts: [Int]
        /// In each lane, a lower bound of the hosts' distance above their target.
        private(set) var lowest = Vector(repeating: .infinity)
        /// The bounds of 1 / capacity.
        private let inverse: (least: Vector, most: Vector)

        init(_ hosts: [Int], share: [Vector], space: PlacementSpace, objective: Objective) {
            self.hosts = hosts
            var inverse = (least: Vector(repeating: .infinity), most: Vector())
            for host in hosts {
                let its = space.inverse[host]
                inverse.least.replace(with: its, where: its .< inverse.least)
                inverse.most.replace(with: its, where: its .> inverse.most)
            }
            self.inverse = inverse
            for host in hosts { lower(to: share[host] - objective.target) }
        }

        mutating func lower(to off: Vector) { lowest.replace(with: off, where: off .< lowest) }

        /// Returns a lower bound of the cost of one more unit on any host of the part, without the unit's own terms.
        ///
        /// In Σ slope × ((off + d)² - off²) = Σ slope × d × (2 off + d), each factor is at its least. Contention never
        /// falls.
        func leastCost(of demand: Vector, slope: Vector) -> Double {
            let falling = lowest.replacing(with: 0, where: lowest .> 0) * inverse.most
            let rising = lowest.replacing(with: 0, where: lowest .< 0) * inverse.least
            let own = demand * inverse.least * inverse.least
            return (slope * demand * (2 * (falling + rising) + own)).sum()
        }
    }

    private var lists: [List?]
    private let mean: Vector
    private var moves = 0

    init(_ space: PlacementSpace) {
        lists = Array(repeating: nil, count: space.classes.count)
        mean = space.units.reduce(into: Vector()) { $0 += $1.demand } / Double(max(space.units.count, 1))
    }

    /// Updates the bounds after a move; it must be called for each move, because the source is freer afterwards.
    mutating func countMove(from source: Int, share: Vector, _ objective: Objective) {
        moves += 1
        let off = share - objective.target
        // With very many lists, searching them for the host costs more than lowering the bound of all of them.
        let isLookedUp = lists.count <= Self.listsLookedUp
        for index in lists.indices {
            for part in lists[index]?.parts.indices ?? 0..<0 {
                if isLookedUp, lists[index]?.parts[part].hosts.contains(source) == false { continue }
                lists[index]?.parts[part].lower(to: off)
            }
        }
    }

    private static let listsLookedUp = 64

    /// Drops all lists; each is rebuilt when it is next needed.
    mutating func forget() { for index in lists.indices { lists[index] = nil } }

    /// Returns the list of a class, or `nil` if it is missing or too old.
    @inline(__always)
    func list(_ number: Int) -> List? {
        guard let list = lists[number], moves - list.madeAt < Self.movesUntilStale else { return nil }
        return list
    }

    mutating func make(_ number: Int, share: [Vector], space: PlacementSpace, objective: Objective) -> List {
        let allowed = share.indices.filter { space.allowed[number][$0] }
        let isComplete = allowed.count <= Self.mostHosts
        let hosts = isComplete ? allowed : shortened(allowed, share: share, space: space, objective: objective)
        let parts = stride(from: 0, to: hosts.count, by: Self.hostsPerPart).map { first in
            let part = Array(hosts[first..<min(first + Self.hostsPerPart, hosts.count)])
            return Part(part, share: share, space: space, objective: objective)
        }
        let list = List(parts: parts, isComplete: isComplete, madeAt: moves)
        lists[number] = list
        return list
    }

    private func shortened(_ hosts: [Int], share: [Vector], space: PlacementSpace, objective: Objective) -> [Int] {
        var chosen: [Int] = []
        var isChosen = [Bool](repeating: false, count: share.count)
        func choose(_ count: Int, by key: (Int) -> Double) {
            let best = Self.least(hosts, count) { isChosen[$0] ? .infinity : key($0) }
            chosen += best
            for host in best { isChosen[host] = true }
        }
        for lane in [Lane.cpu, Lane.memory, Lane.network, Lane.disk, Lane.vcpus] where objective.slope[lane] > 0 {
            choose(Self.hostsPerPart) { share[$0][lane] }
        }
        choose(Self.mostHosts - chosen.count) {
            objective.energy(share[$0] + mean * space.inverse[$0]) - objective.energy(share[$0])
        }
        return chosen
    }

    /// Returns the hosts with the least keys, in ascending order.
    private static func least(_ hosts: [Int], _ count: Int, by key: (Int) -> Double) -> [Int] {
        var best: [(key: Double, host: Int)] = []
        best.reserveCapacity(count + 1)
        for host in hosts {
            let key = key(host)
            if best.count == count, let last = best.last, last.key <= key { continue }
            // Few hosts get here: the list is short, and most keys are above it.
            var (low, high) = (0, best.count)
            while low < high {
                let middle = (low + high) / 2
                if best[middle].key <= key { low = middle + 1 } else { high = middle }
            }
            best.insert((key, host), at: low)
            if best.count > count { best.removeLast() }
        }
        return best.map(\.host)
    }
}
