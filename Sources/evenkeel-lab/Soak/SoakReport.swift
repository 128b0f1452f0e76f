// SPDX-License-Identifier: Apache-2.0

/// The results of a soak.
struct SoakReport: Codable, Sendable {
    let machine: String
    let plan: SoakPlan
    let phases: [Phase]
    /// The ends of the programs' logs.
    let logs: [Log]
    let passed: Bool

    struct Phase: Codable, Sendable {
        var phase: SoakPhase
        /// Its length.
        var seconds: Double
        var samples: [Samples]
        var verdicts: [SoakVerdict]
        var series: [SoakSeries]
        var logGrowth: [LogGrowth] = []
        /// The moves that were ordered meanwhile; `nil` if none were.
        var moves: Moves?

        var passed: Bool {
            verdicts.allSatisfy(\.passed) && samples.allSatisfy(\.passed) && logGrowth.allSatisfy(\.passed)
                && moves?.passed ?? true
        }
    }

    /// The growth of a program's log during a phase.
    struct LogGrowth: Codable, Sendable {
        var path: String
        var bytes: Int
        /// Number of samples of all hosts whose program writes the log.
        var samples: Int
        /// The largest growth for each sample, in bytes; `nil`: not judged.
        var limit: Double?

        var perSample: Double { Double(bytes) / Double(max(1, samples)) }
        var passed: Bool { limit.map { perSample <= $0 } ?? true }
    }

    /// The moves of real guests.
    struct Moves: Codable, Sendable, Equatable {
        var ordered = 0
        var done = 0
        /// The number of successful moves below which the phase has failed.
        var fewest: Int

        var passed: Bool { done >= fewest }
    }

    /// The samples that a ledger got during a phase.
    struct Samples: Codable, Sendable {
        var ledger: String
        var written: Int
        /// The number below which the phase has failed.
        var fewest: Int

        var passed: Bool { written >= fewest }
    }

    struct Log: Codable, Sendable {
        var path: String
        var lastLines: String
    }

    init(machine: String, plan: SoakPlan, phases: [Phase], logs: [Log]) {
        self.machine = machine
        self.plan = plan
        self.phases = phases
        self.logs = logs
        passed = phases.allSatisfy(\.passed)
    }
}
