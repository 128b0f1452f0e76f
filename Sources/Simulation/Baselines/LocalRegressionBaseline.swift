// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// LR-MMT: relieves hosts for which local regression predicts an overload, by moving their VMs with the least memory.
///
/// From Beloglazov and Buyya, *Optimal online deterministic algorithms and adaptive heuristics for energy and
/// performance efficient dynamic consolidation of virtual machines in cloud data centers*, CCPE 24(13), 2012, and
/// CloudSim 3, org.cloudbus.cloudsim.power (PowerVmAllocationPolicyMigrationLocalRegression, ...Abstract,
/// PowerVmSelectionPolicyMinimumMigrationTime, commits 06322462 and 03e47ab0):
///
/// - A line is fitted to the last 10 shares of CPU, weighted by the tricube function (Loess). It is extrapolated to the
///   time at which the largest VM would have left. The host is overloaded if 1.2 times the result is 1 or more (the
///   safety parameter).
/// - With fewer samples, a host is overloaded above 0.7.
/// - From each such host, the VM with the least memory is selected, repeatedly until the host is no longer overloaded.
/// - The selected VMs move in order of their CPU, highest first. Each moves to the host whose power rises least, among
///   those that it does not overload (PABFD).
/// - Power is linear in the share of CPU, the same for all hosts. Of equal hosts the first is taken, as in CloudSim.
///
/// Left out: the consolidation that empties underloaded hosts and switches them off, which no baseline here may do. A
/// VM's share is subtracted from the host's current line, because only hosts have a history here.
public struct LocalRegressionBaseline: Baseline {
    public let name = "lr-mmt"
    public let summary = "hosts forecast to overload give their smallest VMs (LR-MMT, Beloglazov and Buyya, 2012)"
    public let usualInterval: Duration? = .seconds(300)
    private let safety: Double
    private let fallback: Double
    private let interval: Double
    private let bytesPerSecond: Double

    /// `interval`: seconds between two samples, 300 in CloudSim, where a migration has half of 1 Gbit/s.
    public init(
        safety: Double = 1.2,
        fallback: Double = 0.7,
        interval: Double = 300,
        bytesPerSecond: Double = 62.5e6
    ) {
        self.safety = safety
        self.fallback = fallback
        self.interval = interval
        self.bytesPerSecond = bytesPerSecond
    }

    private static let length = 10

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        let active = fleet.activeHosts
        let forecasts = fleet.hosts.indices.map { fleet.isActive($0) ? forecast(of: $0, in: fleet) : nil }
        // The change of each host's line: a VM that leaves or arrives lowers or raises it by its share.
        var change = fleet.hosts.map { _ in 0.0 }
        func isOverloaded(_ host: Int, with more: Double) -> Bool {
            guard let forecast = forecasts[host] else {
                return fleet.cpuShare(of: host) + change[host] + more > fallback
            }
            return safety * (forecast + change[host] + more) >= 1
        }

        let overloaded = active.filter { isOverloaded($0, with: 0) }
        guard !overloaded.isEmpty else { return [] }
        var leaving: [Int] = []
        for host in overloaded {
            let smallestFirst = fleet.vmsOn[host].filter(fleet.mayLeave).sorted { left, right in
                (fleet.vms[left].memoryBytes, left) < (fleet.vms[right].memoryBytes, right)
            }
            for vm in smallestFirst where isOverloaded(host, with: 0) {
                leaving.append(vm)
                change[host] -= fleet.vms[vm].cores / fleet.hosts[host].cores
            }
        }

        var isTarget = fleet.hosts.map { _ in true }
        for host in overloaded { isTarget[host] = false }
        leaving.sort { (fleet.vms[$1].cores, $0) < (fleet.vms[$0].cores, $1) }
        var plan = BaselinePlan(fleet)
        for vm in leaving {
            var best: (rise: Double, host: Int)?
            for host in active where isTarget[host] {
                let rise = fleet.vms[vm].cores / fleet.hosts[host].cores
                guard rise < best?.rise ?? .infinity, plan.fleet.takes(vm, host) else { continue }
                // A host without CPU use takes any VM.
                guard plan.fleet.usedCores[host] == 0 || !isOverloaded(host, with: rise) else { continue }
                best = (rise, host)
            }
            guard let best else { continue }
            change[best.host] += best.rise
            plan.move(vm, to: best.host)
        }
        return plan.moves
    }

    /// Returns the predicted share of CPU at the end of the longest migration; `nil` if the history is too short.
    private func forecast(of host: Int, in fleet: BaselineFleet) -> Double? {
        let shares = fleet.hosts[host].cpuHistory.suffix(Self.length)
        guard shares.count == Self.length else { return nil }
        let largest = fleet.vmsOn[host].map { fleet.vms[$0].memoryBytes }.max() ?? 0
        let seconds = Double(largest) / max(bytesPerSecond, 1)
        let intervals = (seconds / max(interval, 1)).rounded(.up)
        return Self.line(through: Array(shares), at: Double(Self.length) + intervals)
    }

    /// Returns the value of a weighted line through the values at 1, 2, 3 and so on; the newest has the most weight.
    private static func line(through values: [Double], at place: Double) -> Double {
        var (weights, meanX, meanY) = (0.0, 0.0, 0.0)
        let span = Double(max(values.count - 1, 1))
        func weight(_ index: Int) -> Double {
            let distance = (span - Double(index)) / span
            let inner = 1 - distance * distance * distance
            return inner * inner * inner
        }
        for index in values.indices {
            weights += weight(index)
            meanX += weight(index) * Double(index + 1)
            meanY += weight(index) * values[index]
        }
        guard weights > 0 else { return values.last ?? 0 }
        meanX /= weights
        meanY /= weights
        var (together, alone) = (0.0, 0.0)
        for index in values.indices {
            let x = Double(index + 1) - meanX
            together += weight(index) * x * (values[index] - meanY)
            alone += weight(index) * x * x
        }
        return meanY + (alone > 0 ? together / alone : 0) * (place - meanX)
    }
}
