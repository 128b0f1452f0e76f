// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The objective of a placement: the smaller, the better.
///
/// Its unit is the host unit, so that it means the same for ten hosts and for ten thousand. It is a sum over hosts and
/// units, so that a candidate is evaluated from the two hosts it concerns:
///
///     Σ hosts  [ Σ resources  weight × (share - target)² / (2 × tolerance)  +  contention × (excess + excess²)
///                +  contention × lack ]
///   + Σ units  [ violation, if it must leave its host  +  preference, if a rule would have it elsewhere
///              + price × seconds of migration, if it is not at home ]
///
/// `share` is used / capacity, `target` the fleet's used / the fleet's capacity. `excess` is the share above the upper
/// threshold. `lack` is the expected shortage, and counts where loads are known from their history. It is the share of
/// its CPU that a host will lack: the mean excess of its varying load (`ExpectedExcess`), and the present shortage for
/// the part of the horizon that it lasts.
///
/// The quadratic form is the weighted sum of standard deviations with its slope taken at the tolerance. With the slope
/// at the current deviation, a move would be worth less the worse the fleet is.
struct Objective: Sendable {
    let target: Vector
    let slope: Vector
    /// A host above these shares is contended.
    let upper: Vector
    let contention: Vector
    private let persistence: Double
    private let expected: ExpectedExcess?
    /// Demand expected above this share of a host's CPU counts as lacking: half-way from the threshold to all of it.
    private let lacking: Double
    /// Host units that one second of migration costs.
    let price: Double
    private let space: PlacementSpace

    /// More than any gain in balance on one host.
    static let violation = 10_000.0
    static let preference = 0.5
    /// A host that lacks one per cent of its CPU or memory costs as much as a host far off balance.
    static let contention = 100.0
    /// Smaller gains are rounding errors.
    static let leastGain = 1e-7

    /// Spreads that count as even: 2 % of CPU, 1.5 % of memory, 0.5 % of network and disk, 0.04 VCPUs per CPU.
    ///
    /// A fleet of about twenty VMs a host, balanced as well as possible, keeps about this spread.
    static let tolerance = Vector(0.02, 0.015, 0.005, 0.005, 0.04, 1, 1, 1)

    /// Weight of the balance at levels that do not balance: it decides between targets, but never pays for a move.
    static let evennessWeight = 1e-4

    /// Weight of the balance where loads are known from their history.
    ///
    /// The expected shortage counts there. Evenness for its own sake causes many more moves and leaves more unserved
    /// (docs/measurements.md#choices-in-the-planner).
    static let evennessWeightWithHistory = 0.02

    /// Host units for one second of migration at aggressiveness 3 and a horizon of one hour.
    ///
    /// One host unit pays for 1,000 seconds.
    static let pricePerSecond = 0.001

    /// `level` overrides the policy's aggressiveness.
    init(_ space: PlacementSpace, level: Int? = nil) {
        let planning = space.planning
        let level = Level(level ?? planning.aggressiveness)
        var slope = space.weights / (2 * Self.tolerance) * (level.balances ? 1 : Self.evennessWeight)
        if space.model.persistence > 0 {
            slope *= Self.evennessWeightWithHistory
            slope[Lane.vcpus] *= Self.evennessWeight
        }
        self.slope = slope
        let target = Self.target(space)
        var upper = Vector(repeating: .infinity)
        upper[Lane.peak] = space.policy.cpu.upper
        if space.model.persistence > 0 {
            // In a fleet that is as full as its threshold, a host slightly fuller than others does not justify a move.
            upper[Lane.peak] = max(upper[Lane.peak], min(1, (1 + target[Lane.cpu]) / 2))
        }
        upper[Lane.memory] = space.policy.memory.upper
        self.upper = upper
        var contention = Vector()
        if level.relieves {
            contention[Lane.peak] = Self.contention
            contention[Lane.memory] = Self.contention
        }
        self.contention = contention
        persistence = space.model.persistence
        lacking = (1 + min(1, upper[Lane.peak])) / 2
        expected = persistence > 0 ? ExpectedExcess() : nil
        price = Self.pricePerSecond * level.priceFactor * 3600 / max(planning.horizon.inSeconds, 1)
        self.target = target
        self.space = space
    }

    /// The effect of the levels of aggressiveness.
    private struct Level {
        let balances: Bool
        let relieves: Bool
        let priceFactor: Double

        init(_ aggressiveness: Int) {
            balances = aggressiveness >= 3
            relieves = aggressiveness >= 2
            priceFactor =
                switch aggressiveness {
                case ..<4: 1
                case 4: 0.25
                default: 0.05
                }
        }
    }

    /// Returns the share that every active host would have if all were even, which does not depend on the placement.
    private static func target(_ space: PlacementSpace) -> Vector {
        var used = Vector()
        var capacity = Vector()
        for host in space.own.indices where space.isActive[host] {
            used += space.own[host]
            let inverse = space.inverse[host]
            capacity += (1 / inverse).replacing(with: 0, where: inverse .== 0)
        }
        for unit in space.units where space.isActive[unit.home] || unit.mustLeave { used += unit.demand }
        return (used / capacity).replacing(with: 0, where: capacity .== 0)
    }

    /// Returns the cost of an active host at a load, without the terms of its units.
    @inline(__always)
    func energy(_ share: Vector) -> Double {
        let off = share - target
        let over = share - upper
        let excess = over.replacing(with: 0, where: over .< 0)
        var energy = (slope * off * off + contention * (excess + excess * excess)).sum()
        if let expected { energy += contention[Lane.peak] * lack(share, expected) }
        return energy
    }

    /// Returns the share of its CPU that a host is expected to lack on average over the horizon.
    @inline(__always)
    private func lack(_ share: Vector, _ expected: ExpectedExcess) -> Double {
        let variance = share[Lane.variance]
        let later = share[Lane.peak] - lacking
        return (variance > 0 ? expected.mean(above: later, variance: variance) : max(0, later))
            + persistence * max(0, share[Lane.present] - 1)
    }

    /// Whether a present shortage of CPU counts.
    var lackCounts: Bool { persistence > 0 && contention[Lane.peak] > 0 }

    /// Returns the slope of the balance term in each share.
    func gradient(_ share: Vector) -> Vector { 2 * slope * (share - target) }

    /// Returns the cost that a unit adds on a host.
    @inline(__always)
    func term(_ unit: PlacementSpace.Unit, on host: Int) -> Double {
        var term = 0.0
        if host == unit.home {
            if unit.mustLeave { term += Self.violation }
        } else {
            term += price * space.seconds(unit, to: host)
        }
        if let preferred = unit.preferredHosts, !preferred.contains(host) { term += Self.preference }
        return term
    }

    /// Returns the objective of a placement.
    func value(of placement: Placement) -> Double {
        let space = placement.space
        var total = 0.0
        for host in space.isActive.indices where space.isActive[host] { total += energy(placement.share(of: host)) }
        for (number, unit) in space.units.enumerated() { total += term(unit, on: placement.hostOf[number]) }
        for counts in placement.apartCount {
            total += Self.violation * Double(counts.values.reduce(0) { $0 + max(0, $1 - 1) })
        }
        return total
    }
}
