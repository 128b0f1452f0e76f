// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// OpenStack Watcher's strategy workload_stabilization: acts when the deviation of the host loads is above a threshold.
///
/// From openstack/watcher, watcher/decision_engine/strategy/strategies/workload_stabilization.py (check_threshold,
/// simulate_migrations, do_execute, commit b4a02a6d):
///
/// - It acts only above the threshold of the standard deviation: 0.1 there, 0.2 in its first release (commit 019fc498).
/// - For each instance it tries all destinations on the initial loads, and records each one that lowers the deviation
///   further than those before it.
/// - It makes these migrations in order of the predicted deviation, if they still lower it.
/// - It stops when the deviation is below the threshold.
///
/// The only metric is the default, instance_cpu_usage, therefore the weights (1.0) do not matter. `host_choice` is
/// fullsearch; the default, retry, tries one random host for each instance. An instance that has already moved is
/// skipped (Watcher would move it again, from its former host). Watcher averages ten minutes; here the newest sample
/// counts.
public struct WatcherBaseline: Baseline {
    public let name = "watcher"
    public let summary = "best migration per VM when host loads deviate by 0.1 (Watcher, workload_stabilization)"
    public let usualInterval: Duration? = nil
    private let threshold: Double

    public init(threshold: Double = 0.1) { self.threshold = threshold }

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        var spread = Spread(fleet, lanes: [Spread.cpu])
        var deviation = spread.moments.deviation(of: Spread.cpu)
        guard deviation > threshold else { return [] }
        for one in cases(in: fleet, spread) {
            guard spread.plan.mayMove(one.vm), spread.plan.fleet.takes(one.vm, one.target) else { continue }
            let after = spread.moments(moving: one.vm, to: one.target).deviation(of: Spread.cpu)
            guard after < deviation else { continue }
            spread.move(one.vm, to: one.target)
            deviation = after
            if deviation < threshold { break }
        }
        return spread.plan.moves
    }

    /// Returns, for each VM, every host that lowers the variance further than all hosts before it; the best move first.
    private func cases(in fleet: BaselineFleet, _ spread: Spread) -> [Spread.Candidate] {
        let count = spread.moments.count
        let sum = spread.moments.sum[Spread.cpu]
        let targets = fleet.activeHosts.map { host in
            (host: host, share: spread.share[host][Spread.cpu], inverse: 1 / fleet.hosts[host].cores)
        }
        var cases: [Spread.Candidate] = []
        for vm in fleet.vms.indices where fleet.mayLeave(vm) {
            let one = fleet.vms[vm]
            let leaves = one.cores / fleet.hosts[one.host].cores
            let atSource = leaves * (leaves - 2 * spread.share[one.host][Spread.cpu])
            var least = -sum * sum / count
            for target in targets {
                let comes = one.cores * target.inverse
                let sumAfter = sum + comes - leaves
                let value = atSource + comes * (comes + 2 * target.share) - sumAfter * sumAfter / count
                guard value < least, fleet.takes(vm, target.host) else { continue }
                least = value
                cases.append(Spread.Candidate(vm: vm, target: target.host, value: value + sum * sum / count))
            }
        }
        return cases.sorted { ($0.value, $0.vm, $0.target) < ($1.value, $1.vm, $1.target) }
    }
}
