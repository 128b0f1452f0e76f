// SPDX-License-Identifier: Apache-2.0
import Fleet

/// For each placement class, the hosts that look best for its units: where there are thousands of hosts, looking at all
/// of them for every unit takes too long, and nearly all of them are no candidates.
struct Shortlists {
    /// Up to so many allowed hosts, all of them are on the list.
    static let mostHosts = 256
    /// Of these, so many are the best in one resource; the others are the best for a mean unit.
    static let perResource = 24
    /// After so many moves a list is made anew.
    static let movesUntilStale = 64

    struct List {
        var hosts: [Int]
        /// Whether every allowed host is on the list.
        var isComplete: Bool
        /// In each lane the least that any host of the list is above its target, or was since.
        var lowest: Vector
        /// The bounds of 1 / capacity on the list.
        var inverse: (least: Vector, most: Vector)
        fileprivate var madeAt: Int

        /// No host of the list costs less for one more unit; the unit's own terms apart.
        ///
        /// Of Σ slope × ((off + d)² - off²) = Σ slope × d × (2 off + d), each factor at its least. Contention only
        /// ever grows.
        func leastCost(of demand: Vector, _ objective: Objective) -> Double {
            let falling = lowest.replacing(with: 0, where: lowest .> 0) * inverse.most
            let rising = lowest.replacing(with: 0, where: lowest .< 0) * inverse.least
            let own = demand * inverse.least * inverse.least
            return (objective.slope * demand * (2 * (falling + rising) + own)).sum()
        }
    }
    private var lists: [List?]
    private let mean: Vector
    private var moves = 0

    init(_ space: PlacementSpace) {
        lists = Array(repeating: nil, count: space.classes.count)
        mean = space.units.reduce(into: Vector()) { $0 += $1.demand } / Double(max(space.units.count, 1))
    }

    /// To be told of each move: its source is freer now.
    mutating func countMove(from share: Vector, _ objective: Objective) {
        moves += 1
        let off = share - objective.target
        for index in lists.indices {
            guard let lowest = lists[index]?.lowest else { continue }
            lists[index]?.lowest = lowest.replacing(with: off, where: off .< lowest)
        }
    }

    /// Lists are made anew when they are next wanted.
    mutating func forget() { for index in lists.indices { lists[index] = nil } }

    mutating func list(_ number: Int, share: [Vector], space: PlacementSpace, objective: Objective) -> List {
        if let list = lists[number], moves - list.madeAt < Self.movesUntilStale { return list }
        let allowed = share.indices.filter { space.allowed[number][$0] }
        let isComplete = allowed.count <= Self.mostHosts
        let hosts = isComplete ? allowed : shortened(allowed, share: share, space: space, objective: objective)
        var lowest = Vector(repeating: .infinity)
        var inverse = (least: Vector(repeating: .infinity), most: Vector())
        for host in hosts {
            let (off, its) = (share[host] - objective.target, space.inverse[host])
            lowest.replace(with: off, where: off .< lowest)
            inverse.least.replace(with: its, where: its .< inverse.least)
            inverse.most.replace(with: its, where: its .> inverse.most)
        }
        let list = List(hosts: hosts, isComplete: isComplete, lowest: lowest, inverse: inverse, madeAt: moves)
        lists[number] = list
        return list
    }

    private func shortened(_ hosts: [Int], share: [Vector], space: PlacementSpace, objective: Objective) -> [Int] {
        var chosen: Set<Int> = []
        for lane in [Lane.cpu, Lane.memory, Lane.network, Lane.disk, Lane.vcpus] where objective.slope[lane] > 0 {
            chosen.formUnion(Self.least(hosts, Self.perResource) { share[$0][lane] })
        }
        let rest = hosts.filter { !chosen.contains($0) }
        chosen.formUnion(
            Self.least(rest, Self.mostHosts - chosen.count) {
                objective.energy(share[$0] + mean * space.inverse[$0]) - objective.energy(share[$0])
            }
        )
        return chosen.sorted()
    }

    /// The hosts with the least keys.
    private static func least(_ hosts: [Int], _ count: Int, by key: (Int) -> Double) -> [Int] {
        hosts.map { (key: key($0), host: $0) }.sorted { ($0.key, $0.host) < ($1.key, $1.host) }.prefix(count).map(
            \.host
        )
    }
}
