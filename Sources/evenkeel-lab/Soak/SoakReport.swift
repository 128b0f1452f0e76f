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

        var passed: Bool { verdicts.allSatisfy(\.passed) && samples.allSatisfy(\.passed) }
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
