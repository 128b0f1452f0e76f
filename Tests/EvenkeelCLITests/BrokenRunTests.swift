// SPDX-License-Identifier: Apache-2.0
import Coordination
import Simulation
import Testing

@testable import EvenkeelCLI

/// The program's reaction to a broken invariant; a mutated core breaks it.
struct BrokenRunTests {
    private let torture = Torture(mutations: [.forgetsMoves])

    @Test func `torture stops at the first seed that breaks an invariant`() async throws {
        let runs = TortureRuns(first: 1, runs: 50, torture: torture, workers: 1)
        let (summary, failures) = await runs.run { _ in }
        let failure = try #require(failures.first)
        #expect(failures.count == 1 && summary.runs < 50 && summary.broken.count == 1)
        #expect(
            summary.broken[0].seed == failure.seed
                && summary.broken[0].invariant == failure.violation.invariant.rawValue
        )
        #expect(summary.broken[0].faultsNeeded == failure.needed)
        #expect(summary.text(first: 1).hasSuffix("\n\(summary.runs - 1) passed, 1 failed"))
        #expect(try jsonText(summary).contains("\"faultsNeeded\""))
    }

    @Test func `a comparison ends with the broken run`() async {
        let run = SimulationRun(
            settings: torture.settings(seed: 1),
            measured: .seconds(300),
            contenders: [.evenkeel],
            jobs: 1
        )
        let broken = await #expect(throws: BrokenRun.self) { _ = try await run.run { _ in } }
        #expect(broken?.seed == 1 && broken?.violation.invariant == .noReturn)
    }

    @Test func `baselines are measured but not checked against the invariants`() async throws {
        var settings = torture.settings(seed: 1)
        settings.mutations = []
        settings.improvement = 200
        let contenders = try Contender.named(["threshold", "nothing"])
        let rows = try await SimulationRun(settings: settings, measured: .seconds(300), contenders: contenders, jobs: 2)
            .run { _ in }
        #expect(rows.map(\.policy) == ["evenkeel", "threshold", "nothing"])
        #expect(rows[2].migrations == 0 && rows.allSatisfy { $0.points.last?.hours ?? 1 <= 300.0 / 3600 })
        #expect(rows.allSatisfy { $0.wantedCoreHours > 0 })
    }
}
