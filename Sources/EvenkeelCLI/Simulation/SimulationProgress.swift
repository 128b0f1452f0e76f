// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Simulation

/// Shows the progress of each contender: redrawn on a terminal; on a pipe, a line when one is done.
actor SimulationProgress {
    private let hours: Double
    private let isQuiet: Bool
    private var live = LiveView()
    private var running: [(name: String, line: String)] = []

    init(hours: Double, isQuiet: Bool) {
        self.hours = hours
        self.isQuiet = isQuiet
    }

    func show(_ progress: SimulationRun.Progress) {
        guard !isQuiet else { return }
        let share = percent(hours > 0 ? progress.hours / hours : 1)
        let line =
            "\(progress.contender): \(Units.decimals(progress.hours, 1)) h (\(share)), "
            + "\(SimulationOutcome.share(progress.measures.unservedShare)) unserved, \(progress.measures.migrations) moves"
        running.removeAll { $0.name == progress.contender && progress.isDone }
        if progress.isDone {
            live.keep(line)
        } else if let index = running.firstIndex(where: { $0.name == progress.contender }) {
            running[index].line = line
        } else {
            running.append((progress.contender, line))
        }
        if !running.isEmpty { live.draw(running.map(\.line).joined(separator: "\n")) }
    }
}

/// Shows how many torture runs are done; on a pipe every ten seconds.
actor TortureProgress {
    private let runs: Int
    private let isQuiet: Bool
    private var live = LiveView()
    private var next = ContinuousClock.now

    init(runs: Int, isQuiet: Bool) {
        self.runs = runs
        self.isQuiet = isQuiet
    }

    func show(_ summary: TortureRuns.Summary) {
        guard !isQuiet, ContinuousClock.now >= next || summary.runs == runs else { return }
        next = .now + (standardOutputIsTerminal ? .milliseconds(250) : .seconds(10))
        let line = "\(summary.runs) of \(runs) seeds, \(summary.faults) faults, \(summary.migrations) migrations"
        if standardOutputIsTerminal { live.draw(line) } else { printLine(line) }
    }
}
