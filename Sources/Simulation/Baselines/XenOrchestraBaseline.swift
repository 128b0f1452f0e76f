// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Xen Orchestra's load balancer, performance mode: moves VMs from hosts above a threshold to the least loaded hosts.
///
/// From vatesfr/xen-orchestra, packages/xo-server-load-balancer/src/performance-plan.mts and plan.mts (commit 3945d05f):
///
/// - The critical thresholds are 90 % of CPU and 1000 MB of free memory. High is 0.85 of the first and 1.2 of the
///   second, low is 0.65 and 1.5.
/// - A host is exceeded if it is above high now, and also with the last 30 minutes mixed in, 0.75 to 0.25.
/// - Exceeded hosts are relieved in turn, the worst first. Their VMs are tried in order of CPU, or of memory if the CPU
///   of two is similar (within a factor of 4).
/// - Each VM moves to the best of the other hosts, if its CPU stays below low and its free memory above high. The
///   source is relieved until it is below low.
/// - Submode preventive: if no host is exceeded, hosts above 25 % and at 1.5 times the average CPU of the pool are
///   relieved, too. High and low are 1.5 and 1.25 times the average then.
///
/// The default submode is conservative, without the last step. Only preventive balances, therefore it is used here. A
/// sample represents its minute. The original uses a VM's share of its host's CPU as its share of the target's CPU.
/// Here the share is scaled, which matters only if hosts differ.
public struct XenOrchestraBaseline: Baseline {
    public let name = "xen-orchestra"
    public let summary = "exceeded hosts give to the least loaded (Xen Orchestra, performance mode, preventive)"
    public let usualInterval: Duration? = .seconds(60)
    private let isPreventive: Bool

    public init(isPreventive: Bool = true) { self.isPreventive = isPreventive }

    private struct Thresholds {
        var highCPU: Double
        var lowCPU: Double
        var highFreeMemory = 1.2 * criticalMemory
        var lowFreeMemory = 1.5 * criticalMemory

        static let criticalMemory = 1000.0 * 1024 * 1024
        static let critical = Thresholds(highCPU: 0.85 * 0.90, lowCPU: 0.65 * 0.90)
    }

    private struct Averages {
        var cpu: Double
        var freeMemory: Double
    }

    private static let historySamples = 30
    private static let weightOfNow = 0.75
    private static let aggressiveness = 1.5
    private static let aggressivenessLow = 1.25
    private static let significance = 0.25

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        let active = fleet.activeHosts
        let now = fleet.hosts.indices.map {
            Averages(cpu: fleet.cpuShare(of: $0), freeMemory: Double(fleet.freeMemory(of: $0)))
        }
        let mixed = fleet.hosts.indices.map { mix(now[$0], with: fleet.hosts[$0].cpuHistory) }
        let critical = Thresholds.critical
        let exceeded = active.filter { isExceeded(now[$0], critical) && isExceeded(mixed[$0], critical) }
        if !exceeded.isEmpty { return relieve(exceeded, of: active, in: fleet, averages: mixed, critical) }
        guard isPreventive else { return [] }

        func isFarAbove(_ one: Averages, _ average: Double) -> Bool {
            one.cpu >= Self.significance && one.cpu >= average * Self.aggressiveness
        }
        let averageNow = meanCPU(now, of: active, in: fleet)
        let average = meanCPU(mixed, of: active, in: fleet)
        let uneven = active.filter { isFarAbove(now[$0], averageNow) && isFarAbove(mixed[$0], average) }
        let around = Thresholds(highCPU: average * Self.aggressiveness, lowCPU: average * Self.aggressivenessLow)
        return relieve(uneven, of: active, in: fleet, averages: mixed, around)
    }

    private func mix(_ now: Averages, with history: [Double]) -> Averages {
        let past = history.suffix(Self.historySamples)
        guard !past.isEmpty else { return now }
        let before = past.reduce(0, +) / Double(past.count)
        return Averages(
            cpu: Self.weightOfNow * now.cpu + (1 - Self.weightOfNow) * before,
            freeMemory: now.freeMemory
        )
    }

    /// Returns the average CPU use of a pool; every core has the same weight.
    private func meanCPU(_ averages: [Averages], of hosts: [Int], in fleet: BaselineFleet) -> Double {
        var used = 0.0
        var cores = 0.0
        for host in hosts {
            used += averages[host].cpu * fleet.hosts[host].cores
            cores += fleet.hosts[host].cores
        }
        return cores > 0 ? used / cores : 0
    }

    private func isExceeded(_ one: Averages, _ limits: Thresholds) -> Bool {
        one.cpu >= limits.highCPU || one.freeMemory <= limits.highFreeMemory
    }

    private func alike(_ one: Double, _ other: Double, within share: Double) -> Bool {
        abs(one - other) <= min(one, other) * share
    }

    /// Returns whether one host is the better target: fewer limits reached, then less CPU, then more free memory.
    private func isBetter(_ one: Averages, than other: Averages, _ limits: Thresholds) -> Bool {
        let state = (cpu: one.cpu >= limits.highCPU, memory: one.freeMemory <= limits.highFreeMemory)
        let theirs = (cpu: other.cpu >= limits.highCPU, memory: other.freeMemory <= limits.highFreeMemory)
        if state == theirs {
            if alike(one.cpu, other.cpu, within: 0.001) { return one.freeMemory > other.freeMemory }
            return one.cpu < other.cpu
        }
        if (!state.cpu && !state.memory) || (theirs.cpu && theirs.memory) { return true }
        if (!theirs.cpu && !theirs.memory) || (state.cpu && state.memory) { return false }
        return !state.cpu
    }

    /// Returns the VMs of a host, largest first.
    ///
    /// The order is not strict, because similarity is not transitive. Therefore each VM is inserted in turn: it passes
    /// VMs from the end until one is at least as large.
    private func candidates(on host: Int, in plan: BaselinePlan) -> [Int] {
        let vms = plan.fleet.vms
        var sorted: [Int] = []
        for vm in plan.movable(on: host) {
            var place = sorted.endIndex
            while place > 0 {
                let (one, other) = (vms[vm], vms[sorted[place - 1]])
                let isFirst =
                    alike(one.cores, other.cores, within: 3)
                    ? one.memoryBytes > other.memoryBytes : one.cores > other.cores
                guard isFirst else { break }
                place -= 1
            }
            sorted.insert(vm, at: place)
        }
        return sorted
    }

    private func relieve(
        _ exceeded: [Int],
        of active: [Int],
        in fleet: BaselineFleet,
        averages: [Averages],
        _ limits: Thresholds
    ) -> [BaselineMove] {
        var plan = BaselinePlan(fleet)
        var averages = averages
        // The worst host first. A sort needs a strict order, therefore hosts of equal CPU are ordered by their index.
        let worstFirst = exceeded.sorted { left, right in
            let (one, other) = (averages[left], averages[right])
            let reached = (limitsReached(one, limits), limitsReached(other, limits))
            return (reached.1, other.cpu, left) < (reached.0, one.cpu, right)
        }
        for source in worstFirst {
            for vm in candidates(on: source, in: plan) {
                if averages[source].cpu <= limits.lowCPU, averages[source].freeMemory >= limits.lowFreeMemory { break }
                var best: Int?
                for host in active where host != source {
                    if let one = best, !isBetter(averages[host], than: averages[one], limits) { continue }
                    best = host
                }
                guard let target = best, plan.fleet.takes(vm, target) else { continue }
                let one = fleet.vms[vm]
                let left = Averages(
                    cpu: averages[source].cpu - one.cores / fleet.hosts[source].cores,
                    freeMemory: averages[source].freeMemory + Double(one.memoryBytes)
                )
                let filled = Averages(
                    cpu: averages[target].cpu + one.cores / fleet.hosts[target].cores,
                    freeMemory: averages[target].freeMemory - Double(one.memoryBytes)
                )
                let isTurned = left.cpu < filled.cpu || left.freeMemory > filled.freeMemory
                guard filled.cpu < limits.lowCPU, filled.freeMemory > limits.highFreeMemory,
                    isExceeded(averages[source], limits) || !isTurned
                else { continue }
                averages[source] = left
                averages[target] = filled
                plan.move(vm, to: target)
            }
        }
        return plan.moves
    }

    private func limitsReached(_ one: Averages, _ limits: Thresholds) -> Int {
        // If only one limit is reached, CPU is worse than memory.
        (one.cpu >= limits.highCPU ? 2 : 0) + (one.freeMemory <= limits.highFreeMemory ? 1 : 0)
    }
}
