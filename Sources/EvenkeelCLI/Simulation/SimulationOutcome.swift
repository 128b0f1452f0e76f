// SPDX-License-Identifier: Apache-2.0
import Fleet
import Simulation

/// What the contenders achieved with the same load on the same hosts, for people and, encoded, for machines.
struct SimulationOutcome: Encodable, Sendable {
    struct Row: Encodable, Sendable {
        var policy: String
        var summary: String
        /// CPU that VMs wanted, and what of it they did not get.
        var wantedCoreHours: Double
        var unservedCoreHours: Double
        var unservedShare: Double
        var overloadedHostMinutes: Double
        /// Mean over time of the standard deviation over the hosts of CPU wanted / capacity.
        var meanSpread: Double
        var migrations: Int
        var failedMigrations: Int
        var migratedGiB: Double
        /// Moves back to a host that the VM had left within the last hour.
        var pingPong: Int
        /// The longest time that a host lacked CPU without a break.
        var longestOverloadMinutes: Double
        /// VMs that were to be created and found no room.
        var notPlaced: Int
        /// How long the computer took.
        var seconds: Double
        var points: [Point]
    }

    struct Point: Encodable, Sendable {
        var hours: Double
        var spread: Double
        var meanCPU: Double
        var largestCPU: Double
        var overloadedHosts: Int
        var unservedShare: Double
        var migrations: Int
    }

    /// What was simulated.
    struct Scene: Encodable, Sendable {
        var load: String
        var hosts: Int
        var coresPerHost: Double
        var memoryPerHostGiB: Double
        var vms: Int
        var hours: Double
        var meanCPU: Double
        var sampleIntervalSeconds: Double
        var decisionIntervalSeconds: Double
        var seed: UInt64
        var faultLevel: String
        var faults: Int
    }

    var scene: Scene
    var rows: [Row]
    /// Peak memory of this process.
    var peakMiB: Int

    /// The baseline that left least unserved.
    var best: Row? { rows.dropFirst().min { $0.unservedCoreHours < $1.unservedCoreHours } }
}

extension SimulationOutcome.Row {
    init(_ contender: Contender, _ measures: Measures, seconds: Double) {
        policy = contender.name
        summary = contender.summary
        wantedCoreHours = measures.wantedCoreSeconds / 3600
        unservedCoreHours = measures.unservedCoreSeconds / 3600
        unservedShare = measures.unservedShare
        overloadedHostMinutes = measures.overloadedSeconds / 60
        meanSpread = measures.meanSpread
        migrations = measures.migrations
        failedMigrations = measures.failedMigrations
        migratedGiB = measures.migratedBytes / 0x1p30
        pingPong = measures.pingPong
        longestOverloadMinutes = measures.longestOverload / 60
        notPlaced = measures.notPlaced
        self.seconds = seconds
        points = measures.points.map { point in
            SimulationOutcome.Point(
                hours: point.at / 3600,
                spread: point.spread,
                meanCPU: point.mean,
                largestCPU: point.largest,
                overloadedHosts: point.overloadedHosts,
                unservedShare: point.unservedShare,
                migrations: point.migrations
            )
        }
    }
}
