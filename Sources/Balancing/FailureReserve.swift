// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Memory kept free on hosts to restart the VMs of hosts that fail.
///
/// Each host in turn is assumed to fail, with the others that hold the most memory if the reserve is several hosts. Its
/// VMs are placed largest first, preferably in memory that is already kept: one reserve serves several failures.
struct FailureReserve {
    /// Bytes to keep free on each host.
    private(set) var kept: [Double]
    /// Units that would find no room, each with the host whose failure displaces it.
    private(set) var displaced: [(unit: Int, host: Int)] = []

    /// In larger fleets only the failures of the hosts that hold the most memory are checked.
    private static let failuresConsidered = 256

    init(_ placement: Placement) {
        let space = placement.space
        kept = [Double](repeating: 0, count: space.own.count)
        let count = space.planning.reserveHosts
        guard count > 0 else { return }
        func memory(_ host: Int) -> Double { placement.unitsOn[host].reduce(0) { $0 + space.units[$1].memoryBytes } }
        let hosts = space.own.indices.filter { space.isActive[$0] }
            .map { (memory: memory($0), host: $0) }
            .sorted { ($1.memory, $0.host) < ($0.memory, $1.host) }.map(\.host)
        for host in hosts.prefix(Self.failuresConsidered) where !placement.unitsOn[host].isEmpty {
            let others = hosts.lazy.filter { $0 != host }.prefix(count - 1)
            fail([host] + others, of: placement)
        }
    }

    private mutating func fail(_ failing: [Int], of placement: Placement) {
        let space = placement.space
        let units = failing.flatMap { placement.unitsOn[$0] }.sorted {
            (space.units[$1].memoryBytes, $0) < (space.units[$0].memoryBytes, $1)
        }
        var taken = [Double](repeating: 0, count: kept.count)
        var apart: [Int: Set<Int>] = [:]
        for unit in units {
            let one = space.units[unit]
            var best: (isKept: Bool, free: Double, host: Int)?
            for host in taken.indices where space.isActive[host] && !failing.contains(host) {
                let free = space.limit[host][Lane.memory] - placement.used[host][Lane.memory] - taken[host]
                guard free >= one.memoryBytes, space.allowed[one.placementClass][host],
                    !one.apart.contains(where: {
                        (placement.apartCount[$0][host] ?? 0) > 0 || apart[$0]?.contains(host) == true
                    })
                else { continue }
                let isKept = kept[host] - taken[host] >= one.memoryBytes
                if let best, (best.isKept ? 1 : 0, best.free) >= (isKept ? 1 : 0, free) { continue }
                best = (isKept, free, host)
            }
            guard let host = best?.host else {
                displaced.append((unit, placement.hostOf[unit]))
                continue
            }
            taken[host] += one.memoryBytes
            for rule in one.apart { apart[rule, default: []].insert(host) }
        }
        for host in kept.indices { kept[host] = max(kept[host], taken[host]) }
    }
}

extension PlacementSearch {
    /// Keeps room for failures, and moves units to make room where it is missing.
    mutating func keepReserve() {
        guard space.planning.reserveHosts > 0 else { return }
        var hopeless: Set<Int> = []
        for _ in 0..<Self.reserveMoves {
            let reserve = FailureReserve(placement)
            placement.keep(reserve.kept)
            let lacking = reserve.displaced.filter { !hopeless.contains($0.unit) }
            guard !isOver(), let most = lacking.max(by: { isSmaller($0.unit, than: $1.unit) }) else { return }
            if !makeRoom(for: most.unit, failing: most.host) { hopeless.insert(most.unit) }
        }
    }

    /// The most moves that one plan makes for the reserve.
    private static let reserveMoves = 1000

    private func isSmaller(_ unit: Int, than other: Int) -> Bool {
        (space.units[unit].memoryBytes, other) < (space.units[other].memoryBytes, unit)
    }

    /// Moves one unit off a host, which then has room for the given unit or comes closer to it.
    private mutating func makeRoom(for unit: Int, failing host: Int) -> Bool {
        let one = space.units[unit]
        func free(_ target: Int) -> Double {
            placement.limit[target][Lane.memory] - placement.used[target][Lane.memory]
        }
        let targets = share.indices
            .filter { $0 != host && space.isActive[$0] && space.allowed[one.placementClass][$0] }
            .map { (free: free($0), host: $0) }
            .sorted { ($1.free, $0.host) < ($0.free, $1.host) }
        for target in targets.prefix(Self.targetsTried) {
            let lacking = one.memoryBytes - target.free
            // Units that free enough memory come first, the smallest of them first; then the others, the largest first.
            let candidates = placement.unitsOn[target.host].filter { isMovable($0) }.sorted {
                let (left, right) = (space.units[$0].memoryBytes - lacking, space.units[$1].memoryBytes - lacking)
                if (left >= 0) != (right >= 0) { return left >= 0 }
                return left >= 0 ? (left, $0) < (right, $1) : (right, $0) < (left, $1)
            }
            for candidate in candidates {
                let places = share.indices.filter {
                    $0 != target.host && $0 != host && placement.admits(candidate, on: $0)
                        && free($0) - space.units[candidate].memoryBytes < one.memoryBytes
                }
                let best = places.min { (cost(of: candidate, on: $0), $0) < (cost(of: candidate, on: $1), $1) }
                guard let best else { continue }
                apply(candidate, to: best)
                madeRoom.insert(candidate)
                return true
            }
        }
        return false
    }

    private static let targetsTried = 8
}
