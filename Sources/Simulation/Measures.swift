// SPDX-License-Identifier: Apache-2.0

/// The results of a policy in a run.
public struct Measures: Sendable, Equatable {
    /// CPU that VMs requested, and the part they did not get, in core seconds; downtime counts as unserved.
    public private(set) var wantedCoreSeconds = 0.0
    public private(set) var unservedCoreSeconds = 0.0
    /// Time in which a host could not serve its demand, summed over the hosts, in seconds.
    public private(set) var overloadedSeconds = 0.0
    public private(set) var migrations = 0
    public private(set) var failedMigrations = 0
    public private(set) var migratedBytes = 0.0
    /// Moves of a VM to a host that it left within the last hour.
    public private(set) var pingPong = 0
    /// The longest uninterrupted time in which a host was short of CPU, in seconds; shows how long the fleet takes to
    /// settle.
    public private(set) var longestOverload = 0.0
    /// VMs that could not be created for lack of space.
    public internal(set) var notPlaced = 0
    /// The state of the fleet at each step of the workload.
    public private(set) var points: [Point] = []

    public struct Point: Sendable, Equatable {
        /// Seconds since the beginning.
        public var at: Double
        /// Standard deviation, mean and maximum over the hosts of CPU demand / capacity.
        public var spread: Double
        public var mean: Double
        public var largest: Double
        public var overloadedHosts: Int
        /// Unserved share since the last point.
        public var unservedShare: Double
        public var migrations: Int
    }

    private var overloadedSince: [Int64?]
    private var left: [Int: [(host: Int, at: Int64)]] = [:]
    private var atLastPoint = (wanted: 0.0, unserved: 0.0)

    init(hosts: Int) { overloadedSince = Array(repeating: nil, count: hosts) }

    public static func == (one: Measures, other: Measures) -> Bool {
        one.points == other.points && one.wantedCoreSeconds == other.wantedCoreSeconds
            && one.unservedCoreSeconds == other.unservedCoreSeconds && one.migrations == other.migrations
            && one.migratedBytes == other.migratedBytes
    }

    /// Share of the requested CPU that VMs did not get.
    public var unservedShare: Double { wantedCoreSeconds > 0 ? unservedCoreSeconds / wantedCoreSeconds : 0 }
    /// The mean over time of the spread.
    public var meanSpread: Double {
        points.isEmpty ? 0 : points.reduce(0) { $0 + $1.spread } / Double(points.count)
    }

    mutating func add(_ stretch: SimulatedHost.Stretch, host: Int, at now: Int64) {
        wantedCoreSeconds += stretch.wanted
        unservedCoreSeconds += stretch.unserved
        guard stretch.seconds > 0 else { return }
        if stretch.isOverloaded {
            overloadedSeconds += stretch.seconds
            let since = overloadedSince[host] ?? now - Int64(stretch.seconds * 1000)
            overloadedSince[host] = since
            longestOverload = max(longestOverload, Double(now - since) / 1000)
        } else {
            overloadedSince[host] = nil
        }
    }

    /// Adds CPU that a VM requested during its downtime.
    mutating func lost(_ coreSeconds: Double) {
        wantedCoreSeconds += coreSeconds
        unservedCoreSeconds += coreSeconds
    }

    mutating func moved(_ vm: Int, from source: Int, to target: Int, bytes: Double, at now: Int64) {
        migrations += 1
        migratedBytes += bytes
        if left[vm]?.contains(where: { $0.host == target && now - $0.at <= 3_600_000 }) == true { pingPong += 1 }
        left[vm, default: []].append((source, now))
    }

    mutating func failed() { failedMigrations += 1 }

    mutating func point(at now: Int64, shares: [Double]) {
        let count = Double(max(1, shares.count))
        let mean = shares.reduce(0, +) / count
        let variance = shares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
        let wanted = wantedCoreSeconds - atLastPoint.wanted
        points.append(
            Point(
                at: Double(now - World.epoch) / 1000,
                spread: variance.squareRoot(),
                mean: mean,
                largest: shares.max() ?? 0,
                overloadedHosts: shares.count { $0 > 1 },
                unservedShare: wanted > 0 ? (unservedCoreSeconds - atLastPoint.unserved) / wanted : 0,
                migrations: migrations
            )
        )
        atLastPoint = (wantedCoreSeconds, unservedCoreSeconds)
    }
}
