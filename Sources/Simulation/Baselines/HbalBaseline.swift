// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Ganeti's hbal: steepest descent on a score of standard deviations.
///
/// From ganeti/ganeti: src/Ganeti/HTools/Cluster/MetricsComponents.hs (commit dff9bc06), Cluster.hs (tryBalance,
/// commit 57b85559) and man/hbal.rst:
///
/// - The score sums the standard deviations of the share of free memory (free_mem_cv and its forthcoming variant, 0.5
///   each), of VCPUs per core (vcpu_ratio_cv and its variant, 0.5 each) and of CPU load (cpu_load_cv, 1).
/// - Each step executes the move that lowers the score most, over all instances and nodes.
/// - It stops when no move lowers the score. At a score of --min-gain-limit (0.1) or less, a step must gain --min-gain
///   (0.01).
///
/// Without DRBD, a migration is the only move, and the parts of the score for disks, secondaries, N+1 and offline nodes
/// are constant. CPU in use is the input of hbal's option -U. The memory load of -U would count memory twice and is
/// left out. The limit of VCPUs per core (--max-cpu) is not set.
public struct HbalBaseline: Baseline {
    public let name = "hbal"
    public let summary = "steepest descent on deviations of CPU, memory and VCPU ratio (Ganeti hbal with -U)"
    public let usualInterval: Duration? = nil
    private let cpuWeight: Double
    private let memoryWeight: Double
    private let vcpuWeight: Double
    private let leastGain: Double
    private let gainLimit: Double

    public init(cpuWeight: Double = 1, memoryWeight: Double = 1, vcpuWeight: Double = 1) {
        self.cpuWeight = max(0, cpuWeight)
        self.memoryWeight = max(0, memoryWeight)
        self.vcpuWeight = max(0, vcpuWeight)
        leastGain = 0.01
        gainLimit = 0.1
    }

    /// --min-score: below it the cluster counts as balanced.
    private static let leastScore = 1e-9

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        var spread = Spread(fleet, lanes: [Spread.cpu, Spread.memory, Spread.vcpus])
        var score = score(spread.moments)
        while score > Self.leastScore {
            let best = spread.best(of: fleet.vms.indices, below: score, value: self.score)
            guard let best, score > gainLimit || score - best.value >= leastGain else { break }
            spread.move(best.vm, to: best.target)
            score = best.value
        }
        return spread.plan.moves
    }

    private func score(_ moments: Spread.Moments) -> Double {
        cpuWeight * moments.deviation(of: Spread.cpu) + memoryWeight * moments.deviation(of: Spread.memory)
            + vcpuWeight * moments.deviation(of: Spread.vcpus)
    }
}
