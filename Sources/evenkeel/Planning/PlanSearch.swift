// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Foundation

/// Lets the planner search until the time budget is over, with the time shown where a person watches.
struct PlanSearch {
    var planner: Planner
    var timeBudget: Duration
    var seed: UInt64

    init(_ input: FleetInput, _ options: PlanningOptions) {
        planner = Planner(policy: input.policy, planning: options.applied(to: input.planning))
        timeBudget = options.timeBudget
        seed = options.seed
    }

    func plan(for model: FleetModel) -> Plan {
        let clock = ContinuousClock()
        let start = clock.now
        let isWatched = isatty(STDERR_FILENO) == 1
        var shown = Duration.zero
        let plan = planner.plan(for: model, seed: seed) {
            let elapsed = clock.now - start
            if isWatched, elapsed - shown >= .milliseconds(500) {
                shown = elapsed
                show("searching: \(FleetView.seconds(elapsed.inSeconds)) of \(FleetView.seconds(timeBudget.inSeconds))")
            }
            return elapsed >= timeBudget
        }
        if shown > .zero { show("") }
        return plan
    }

    /// Writes over the line that was there.
    private func show(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data("\r\u{1b}[K\(text)".utf8))
    }
}
