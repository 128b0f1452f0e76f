// SPDX-License-Identifier: Apache-2.0
import Fleet
import Simulation

/// Runs many torture seeds in parallel on all cores of the machine.
struct TortureRuns {
    var first: UInt64
    var runs: Int
    var torture: Torture
    var workers: Int

    struct Summary: Codable {
        var runs = 0
        var faults = 0
        var orders = 0
        var migrations = 0
        var simulatedHours = 0.0
        /// The longest time between the last fault of a run and its last order, in seconds.
        var longestSettling = 0.0
        var broken: [Broken] = []

        struct Broken: Codable {
            var seed: UInt64
            var invariant: String
            var detail: String
            var faultsNeeded: [Int]
            var faults: [String]
        }
    }

    /// Runs the seeds until one violates an invariant; `progress` receives the results so far.
    func run(
        progress: @escaping @Sendable (Summary) async -> Void
    ) async -> (summary: Summary, failures: [BrokenRun]) {
        var summary = Summary()
        var failures: [BrokenRun] = []
        await withTaskGroup(of: Result<Torture.Outcome, BrokenRun>.self) { group in
            var next = 0
            func add() {
                guard next < runs, failures.isEmpty, !Task.isCancelled else { return }
                let seed = first &+ UInt64(next)
                next += 1
                group.addTask { [torture] in
                    do throws(BrokenRun) { return .success(try torture.check(seed: seed)) } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<workers { add() }
            for await result in group {
                summary.runs += 1
                switch result {
                case .success(let outcome):
                    summary.faults += outcome.faults
                    summary.orders += outcome.orders
                    summary.migrations += outcome.migrations
                    summary.longestSettling = max(summary.longestSettling, outcome.settledAfter)
                    summary.simulatedHours += outcome.simulatedSeconds / 3600
                case .failure(let failure): failures.append(failure)
                }
                add()
                await progress(summary)
            }
        }
        failures.sort { $0.seed < $1.seed }
        summary.broken = failures.map {
            Summary.Broken(
                seed: $0.seed,
                invariant: $0.violation.invariant.rawValue,
                detail: $0.violation.description,
                faultsNeeded: $0.needed,
                faults: $0.faults.map(\.description)
            )
        }
        return (summary, failures)
    }
}

extension TortureRuns.Summary {
    /// Returns the result as text; its last line is for programs.
    func text(first: UInt64) -> String {
        """
        \(Units.count(runs, "seed")) from \(first): \(faults) faults, \(orders) orders, \(migrations) migrations in \
        \(Units.decimals(simulatedHours, 0)) virtual hours; longest time to settle after the faults: \
        \(Units.seconds(longestSettling)).
        \(runs - broken.count) passed, \(broken.count) failed
        """
    }
}
