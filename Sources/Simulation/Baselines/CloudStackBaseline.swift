// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Apache CloudStack's DRS, algorithm `balanced`: reduces the deviation of a metric by its mean, move by move.
///
/// From apache/cloudstack 4.19: plugins/drs/cluster/balanced, Balanced.java (commit ec406be1), ClusterDrsAlgorithm.java
/// and ClusterDrsService.java in api, ClusterDrsServiceImpl.java in server (getDrsPlan, getBestMigration), and the
/// administrator's guide on clusters:
///
/// - Imbalance is the standard deviation of the used share of the metric, divided by its mean (drs.metric.type used,
///   drs.metric.use.ratio true).
/// - DRS acts above 1 - drs.imbalance; with the default of 0.4 that is 0.6.
/// - Each step executes the migration that improves the imbalance most. Cost is 0 and benefit 1 there, and refuse none.
/// - A run has at most drs.max.migrations (50) steps, and occurs every drs.automatic.interval (60 minutes).
///
/// The original's default metric is memory, and its metrics count allocations. To compare it by load, it uses the CPU
/// in use here.
public struct CloudStackBaseline: Baseline {
    public enum Metric: Sendable { case cpuInUse, cpuAllocated, memory }

    public let name = "cloudstack"
    public let summary = "best migration while deviation by mean is above 0.6 (CloudStack DRS, balanced, on CPU in use)"
    public let usualInterval: Duration? = .seconds(3600)
    private let lane: Int
    private let threshold: Double
    private let most: Int

    /// `imbalance` is drs.imbalance: 1 tolerates no imbalance, 0 tolerates an imbalance of 1.
    public init(metric: Metric = .cpuInUse, imbalance: Double = 0.4, mostMigrations: Int = 50) {
        lane =
            switch metric {
            case .cpuInUse: Spread.cpu
            case .cpuAllocated: Spread.vcpus
            case .memory: Spread.memory
            }
        threshold = 1 - imbalance
        most = mostMigrations
    }

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        var spread = Spread(fleet, lanes: [lane])
        while spread.plan.moves.count < most, imbalance(spread.moments) > threshold {
            let best = spread.best(of: fleet.vms.indices, below: imbalance(spread.moments), value: imbalance)
            guard let best else { break }
            spread.move(best.vm, to: best.target)
        }
        return spread.plan.moves
    }

    private func imbalance(_ moments: Spread.Moments) -> Double {
        let mean = moments.mean(of: lane)
        return mean > 0 ? moments.deviation(of: lane) / mean : 0
    }
}
