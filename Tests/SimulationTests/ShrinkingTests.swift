// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A broken run is reported with the fewest faults that still break it.
struct ShrinkingTests {
    /// A run in which one of five faults matters: agents that resume blindly break an invariant when an answer is lost.
    private func broken() throws -> (settings: SimulationSettings, violation: Violation) {
        for seed in UInt64(1)...20 {
            var settings = Torture(mutations: [.resumesBlindly]).settings(seed: seed)
            settings.improvement = 200
            let lost = (0..<2).map { Fault.answerLost(host: $0, resumes: false) }
            settings.faults = [.lie(host: 2), lost[0], .ledgerSlow(milliseconds: 2000), lost[1], .ledgerDuplicates].map
            {
                ScheduledFault(at: .seconds(10), lasts: .seconds(100), fault: $0)
            }
            if let violation = violation(of: settings) { return (settings, violation) }
        }
        throw NothingBroke()
    }

    private struct NothingBroke: Error {}

    @Test func `shrinking keeps only the faults that the violation needs`() throws {
        let (settings, first) = try broken()
        let run = settings.shrunk(first)
        #expect(run.seed == settings.seed)
        #expect(run.violation.invariant == first.invariant, "seed \(run.seed)")
        #expect(!run.needed.isEmpty && run.needed.count < settings.faults.count, "seed \(run.seed): \(run.needed)")
        #expect(run.faults == run.needed.map { settings.faults[$0] })
        #expect(violation(of: settings.with(onlyFaults: run.needed)) == run.violation, "a replay is the same run")
        for (place, number) in run.needed.enumerated() {
            var fewer = run.needed
            fewer.remove(at: place)
            let rest = violation(of: settings.with(onlyFaults: fewer))
            #expect(rest?.invariant != first.invariant, "seed \(run.seed) breaks without fault \(number), too")
        }
        #expect(run.trace.contains { $0.contains("fault: answerLost") })
        #expect(run.description.contains("seed \(run.seed)") && run.description.contains(first.invariant.rawValue))
    }

    @Test func `a run that breaks without faults is shrunk to none`() throws {
        let settings = Torture(mutations: [.forgetsMoves]).settings(seed: 1)
        let first = try #require(violation(of: settings))
        let run = settings.shrunk(first, runs: 200)
        #expect(run.needed.isEmpty && run.faults.isEmpty)
        #expect(run.description.contains("none"))
    }

    @Test func `a replay with only the needed faults gives the identical violation`() throws {
        let torture = Torture(mutations: [.forgetsMoves])
        for seed in UInt64(1)...3 {
            do throws(BrokenRun) { _ = try torture.check(seed: seed) } catch {
                var lines: [String] = []
                do throws(Violation) {
                    _ = try torture.run(seed: seed, only: error.needed) { lines.append($0) }
                    Issue.record("seed \(seed) breaks nothing with the faults \(error.needed)")
                } catch let violation { #expect(violation == error.violation, "seed \(seed)") }
                #expect(error.trace == lines.suffix(error.trace.count), "seed \(seed)")
                return
            }
        }
        Issue.record("nothing broke")
    }
}
