// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Modelled on vSphere DRS before version 7: greedy moves that lower the deviation and are worth their cost.
///
/// From Gulati and others, *VMware Distributed Resource Management: Design, Implementation, and Lessons Learned*,
/// VMware Technical Journal 1(1), 2012, and VMware's knowledge base on the priority level of a DRS migration
/// recommendation:
///
/// - Imbalance is the standard deviation of the hosts' load divided by their capacity.
/// - The priority is 6 - ceil(deviation / 0.1 * sqrt(hosts)). The default migration threshold applies recommendations
///   of priority 3 and better, therefore the target of the deviation is 0.2 / sqrt(hosts).
/// - Above the target, the best move over all VMs and hosts is made, if its benefit outweighs its cost and its risk.
///
/// The product is closed. The figures for cost, benefit and risk are this project's interpretation, not VMware's:
///
/// - Cost: one core at both ends for as long as the memory takes at 10 Gbit/s.
/// - Benefit: half of the CPU by which the gap between the two hosts shrinks, for the 5 minutes until the next
///   decision.
/// - Risk: reduces the benefit by the share of recent samples in which the source was not the busier host.
///
/// In fleets of more than 64 hosts (the largest cluster of vSphere 6), only the 64 busiest are sources.
public struct CostBenefitBaseline: Baseline {
    public let name = "cost-benefit"
    public let summary = "best move while it is worth its cost, migration threshold 3 (modelled on vSphere DRS)"
    public let usualInterval: Duration? = .seconds(300)
    private let migrationThreshold: Double

    public init(migrationThreshold: Int = 3) { self.migrationThreshold = Double(migrationThreshold) }

    private static let bytesPerSecond = 1.25e9
    private static let coresPerMove = 2.0
    private static let stableSeconds = 300.0
    private static let mostSources = 64

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        var spread = Spread(fleet, lanes: [Spread.cpu])
        while priority(spread.moments) <= migrationThreshold {
            let best = spread.best(
                of: sources(spread),
                below: spread.moments.deviation(of: Spread.cpu),
                value: { $0.deviation(of: Spread.cpu) },
                accepting: { isWorthIt($0, to: $1, in: spread) }
            )
            guard let best else { break }
            spread.move(best.vm, to: best.target)
        }
        return spread.plan.moves
    }

    private func priority(_ moments: Spread.Moments) -> Double {
        6 - (moments.deviation(of: Spread.cpu) / 0.1 * moments.count.squareRoot()).rounded(.up)
    }

    private func sources(_ spread: Spread) -> [Int] {
        var busiest = spread.hosts.map { (share: spread.share[$0][Spread.cpu], host: $0) }
        busiest.sort { $0.share != $1.share ? $0.share > $1.share : $0.host < $1.host }
        return busiest.prefix(Self.mostSources).flatMap { spread.plan.fleet.vmsOn[$0.host] }
    }

    private func isWorthIt(_ vm: Int, to target: Int, in spread: Spread) -> Bool {
        let fleet = spread.plan.fleet
        let one = fleet.vms[vm]
        let (from, to) = (fleet.hosts[one.host], fleet.hosts[target])
        let gap = spread.share[one.host][Spread.cpu] - spread.share[target][Spread.cpu]
        let gapAfter = abs(gap - one.cores / from.cores - one.cores / to.cores)
        let evened = (gap - gapAfter) / 2 * min(from.cores, to.cores)
        let cost = Self.coresPerMove * Double(one.memoryBytes) / Self.bytesPerSecond
        guard evened * Self.stableSeconds > cost else { return false }
        return evened * stability(from.cpuHistory, above: to.cpuHistory) * Self.stableSeconds > cost
    }

    /// Returns the share of the latest samples in which the source was busier than the target.
    private func stability(_ source: [Double], above target: [Double]) -> Double {
        let count = min(source.count, target.count)
        guard count > 0 else { return 1 }
        var busier = 0
        for back in 1...count where source[source.count - back] > target[target.count - back] { busier += 1 }
        return Double(busier) / Double(count)
    }
}
