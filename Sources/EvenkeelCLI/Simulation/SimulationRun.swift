// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Simulation

/// Runs the same load on the same hosts, once for each contender.
struct SimulationRun: Sendable {
    var settings: SimulationSettings
    /// The measured time; after faults the run continues until the fleet has settled, with invariants checked.
    var measured: Duration
    var contenders: [Contender]
    /// Whether a baseline decides at its project's default interval.
    var usualIntervals = false
    /// Number of simulations to run in parallel.
    var jobs: Int
    /// Receives every line of Evenkeel's event log.
    var log: LogFile?

    /// The progress of a contender.
    struct Progress: Sendable {
        var contender: String
        var hours: Double
        var measures: Measures
        var isDone: Bool
    }

    /// Returns the rows in the order of the contenders; throws a `BrokenRun` if Evenkeel violates an invariant.
    func run(progress: @escaping @Sendable (Progress) async -> Void) async throws -> [SimulationOutcome.Row] {
        try await withThrowingTaskGroup(of: (Int, SimulationOutcome.Row).self) { group in
            var rows: [SimulationOutcome.Row?] = contenders.map { _ in nil }
            var waiting = contenders.indices.makeIterator()
            func add() {
                guard let number = waiting.next() else { return }
                group.addTask { (number, try await run(contenders[number], progress: progress)) }
            }
            for _ in 0..<max(1, jobs) { add() }
            for try await (number, row) in group {
                rows[number] = row
                add()
            }
            return rows.compactMap(\.self)
        }
    }

    private func run(
        _ contender: Contender,
        progress: @escaping @Sendable (Progress) async -> Void
    ) async throws -> SimulationOutcome.Row {
        var own = settings
        own.baseline = contender.baseline
        if let baseline = contender.baseline {
            // With two decisions on the same samples, most baselines would order the same moves twice.
            own.decisionInterval =
                usualIntervals
                ? baseline.usualInterval ?? own.sampleInterval : max(own.sampleInterval, own.decisionInterval)
        }
        let start = ContinuousClock.now
        let world = World(own)
        if contender.baseline == nil, let log { world.log = { log.write($0) } }
        let seconds = measured.inSeconds
        var measures = world.measures
        do throws(Violation) {
            var more = true
            while more, !Task.isCancelled {
                let left = seconds - world.simulatedSeconds
                more = try world.run(
                    for: .milliseconds(Int64(1000 * (left > 0 ? min(Self.stretch, left) : Self.stretch)))
                )
                if left > 0 { measures = world.measures }
                let hours = min(world.simulatedSeconds, seconds) / 3600
                await progress(Progress(contender: contender.name, hours: hours, measures: measures, isDone: !more))
            }
        } catch { throw own.shrunk(error, runs: Self.shrinkingRuns) }
        try Task.checkCancellation()
        let took = ContinuousClock.now - start
        return SimulationOutcome.Row(contender, measures, seconds: took.inSeconds)
    }

    /// Interval of the progress reports, in seconds of virtual time.
    private static let stretch = 1800.0
    /// Maximum number of runs to find the fewest faults, because a run may take minutes.
    private static let shrinkingRuns = 40

    /// Peak memory of this process so far, in MiB.
    static var peakMiB: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
    }
}
