// SPDX-License-Identifier: Apache-2.0
import Fleet
import Simulation

/// The results of the contenders with the same load on the same hosts, as text and as JSON.
struct SimulationOutcome: Encodable, Sendable {
    struct Row: Encodable, Sendable {
        var policy: String
        var summary: String
        /// CPU that VMs requested, and the part they did not get.
        var wantedCoreHours: Double
        var unservedCoreHours: Double
        var unservedShare: Double
        var overloadedHostMinutes: Double
        /// Mean over time of the standard deviation over the hosts of CPU demand / capacity.
        var meanSpread: Double
        var migrations: Int
        var failedMigrations: Int
        var migratedGiB: Double
        /// Moves back to a host that the VM left within the last hour.
        var pingPong: Int
        /// The longest uninterrupted time that a host was short of CPU.
        var longestOverloadMinutes: Double
        /// VMs that could not be created for lack of space.
        var notPlaced: Int
        /// Run time of the simulation.
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

    /// The simulated fleet.
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

    /// The baseline with the least unserved CPU.
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
