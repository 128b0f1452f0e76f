// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import Foundation

/// Runs the planner until the time budget is over, and shows the time on a terminal.
struct PlanSearch {
    let planner: Planner
    private let policy: Policy
    var timeBudget: Duration
    var seed: UInt64

    init(_ input: FleetInput, _ options: PlanningOptions) {
        var policy = input.policy
        policy.planning = options.applied(to: policy.planning)
        self.policy = policy
        planner = Planner(policy: policy)
        timeBudget = options.timeBudget
        seed = options.seed
    }

    /// Returns the plan; for a running fleet, marks the VMs that must wait as staying, also in the input's model.
    func plan(for input: inout FleetInput) -> Plan {
        let clock = ContinuousClock()
        let start = clock.now
        let isWatched = isatty(STDERR_FILENO) == 1
        var shown = Duration.zero
        let shouldStop = {
            let elapsed = clock.now - start
            if isWatched, elapsed - shown >= .milliseconds(500) {
                shown = elapsed
                show("searching: \(Units.seconds(elapsed.inSeconds)) of \(Units.seconds(timeBudget.inSeconds))")
            }
            return elapsed >= timeBudget
        }
        let plan: Plan
        if let snapshot = input.snapshot {
            (plan, input.model) = SteadyPlanner(policy: policy)
                .steady(input.model, snapshot: snapshot, seed: seed, shouldStop: shouldStop)
        } else {
            plan = planner.plan(for: input.model, seed: seed, shouldStop: shouldStop)
        }
        if shown > .zero { show("") }
        return plan
    }

    /// Overwrites the current line.
    private func show(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data("\r\u{1b}[K\(text)".utf8))
    }
}
