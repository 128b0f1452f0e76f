// SPDX-License-Identifier: Apache-2.0

/// The shares in use and their running sums, for baselines that lower a standard deviation.
///
/// Every deviation follows from the sum and the sum of squares, and a move changes these by four terms. Therefore the
/// cost of evaluating a candidate does not depend on the number of hosts.
struct Spread {
    /// Lanes: CPU in use, allocated memory, VCPUs per core, unused.
    typealias Lanes = SIMD4<Double>

    static let cpu = 0
    static let memory = 1
    static let vcpus = 2

    /// Sums over hosts, per lane.
    struct Moments {
        var sum = Lanes()
        var squares = Lanes()
        var count = 0.0

        func mean(of lane: Int) -> Double { count > 0 ? sum[lane] / count : 0 }

        /// Returns the standard deviation of the whole population, as in all these projects.
        func deviation(of lane: Int) -> Double {
            guard count > 0 else { return 0 }
            let mean = sum[lane] / count
            return max(0, squares[lane] / count - mean * mean).squareRoot()
        }
    }

    struct Candidate {
        var vm: Int
        var target: Int
        /// The value that the search lowers.
        var value: Double
    }

    private(set) var plan: BaselinePlan
    private(set) var moments = Moments()
    private(set) var share: [Lanes]
    private let demand: [Lanes]
    private let inverse: [Lanes]
    /// The active hosts, grouped by size.
    let hosts: [Int]
    /// One if the lane matters for the choice of a target, otherwise zero.
    private let mask: Lanes

    /// Uses the given lanes for the choice of targets, and always memory, because it must fit.
    init(_ fleet: BaselineFleet, lanes: [Int]) {
        plan = BaselinePlan(fleet)
        demand = fleet.vms.map { Lanes($0.cores, Double($0.memoryBytes), Double($0.vcpus), 0) }
        inverse = fleet.hosts.indices.map { host in
            guard fleet.isActive(host) else { return Lanes() }
            let one = fleet.hosts[host]
            return Lanes(1 / one.cores, 1 / Double(one.memoryBytes), 1 / one.cores, 0)
        }
        let inverse = inverse
        share = fleet.hosts.indices.map { host in
            Lanes(fleet.usedCores[host], Double(fleet.usedMemory[host]), fleet.usedVCPUs[host], 0) * inverse[host]
        }
        hosts = fleet.activeHosts.sorted { left, right in
            let (one, other) = (fleet.hosts[left], fleet.hosts[right])
            return (one.cores, one.memoryBytes, left) < (other.cores, other.memoryBytes, right)
        }
        var mask = Lanes()
        for lane in lanes + [Self.memory] { mask[lane] = 1 }
        self.mask = mask
        for host in hosts {
            moments.sum += share[host]
            moments.squares += share[host] * share[host]
            moments.count += 1
        }
    }

    /// Returns the sums after a move.
    func moments(moving vm: Int, to target: Int) -> Moments {
        let source = plan.fleet.vms[vm].host
        let leaves = demand[vm] * inverse[source]
        let comes = demand[vm] * inverse[target]
        var after = moments
        after.sum += comes - leaves
        after.squares += leaves * (leaves - 2 * share[source]) + comes * (comes + 2 * share[target])
        return after
    }

    mutating func move(_ vm: Int, to target: Int) {
        let source = plan.fleet.vms[vm].host
        moments = moments(moving: vm, to: target)
        share[source] -= demand[vm] * inverse[source]
        share[target] += demand[vm] * inverse[target]
        plan.move(vm, to: target)
    }

    /// Returns the hosts that can be the best target of a VM.
    ///
    /// Of two hosts of the same size, the one with less in use in every lane is the better target for any VM. A host is
    /// omitted if two hosts are better (two, because the VM may already be on one of them). No best move is missed.
    func targets() -> [Int] {
        var found: [Int] = []
        var start = hosts.startIndex
        while start < hosts.endIndex {
            let first = plan.fleet.hosts[hosts[start]]
            var end = start
            while end < hosts.endIndex, plan.fleet.hosts[hosts[end]].cores == first.cores,
                plan.fleet.hosts[hosts[end]].memoryBytes == first.memoryBytes
            {
                end += 1
            }
            found += leastUsed(hosts[start..<end])
            start = end
        }
        return found.sorted()
    }

    private func leastUsed(_ alike: ArraySlice<Int>) -> [Int] {
        var ranked = alike.map { (key: (share[$0] * mask).sum(), host: $0) }
        ranked.sort { $0.key != $1.key ? $0.key < $1.key : $0.host < $1.host }
        var found: [(lanes: Lanes, host: Int)] = []
        for (_, host) in ranked {
            let lanes = share[host] * mask
            var better = 0
            for one in found where all(one.lanes .<= lanes) {
                better += 1
                if better == 2 { break }
            }
            if better < 2 { found.append((lanes, host)) }
        }
        return found.map(\.host)
    }

    /// Returns the accepted move with the lowest `value` below `limit`; the first of equals.
    func best(
        of vms: some Sequence<Int>,
        below limit: Double,
        value: (Moments) -> Double,
        accepting isAccepted: (_ vm: Int, _ target: Int) -> Bool = { _, _ in true }
    ) -> Candidate? {
        let targets = targets()
        var best: Candidate?
        var least = limit
        for vm in vms where plan.mayMove(vm) {
            for target in targets where plan.fleet.takes(vm, target) {
                let value = value(moments(moving: vm, to: target))
                guard value < least, isAccepted(vm, target) else { continue }
                least = value
                best = Candidate(vm: vm, target: target, value: value)
            }
        }
        return best
    }
}
