// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import HostOS
import Fleet
import Foundation
import Settings
import Simulation

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Compare policies on a simulated fleet, or torture-test controller and agents with faults",
        discussion: """
            Runs the production code of controller and agents in virtual time. The same options and seed give the same \
            run.

              evenkeel simulate --traces FOLDER --baseline all --report report.html
              evenkeel simulate --hosts 1000 --load diurnal --hours 48
              evenkeel simulate --hosts 50 --faults light --hours 24
              evenkeel simulate --torture 1000

            Baselines are written from their authors' publications, which docs/baselines.md lists. If an invariant is \
            violated, the run ends with exit code 1 and prints the seed and the smallest set of faults found that \
            reproduces it.
            """
    )

    @OptionGroup(title: "Fleet options") var fleet: SimulatedFleetOptions

    @Option(
        name: .customLong("baseline"),
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Baselines to compare with: all, or \(Baselines.all.map(\.name).joined(separator: ", "))",
            valueName: "name"
        )
    )
    var baselines: [String] = []

    @Flag(help: "Let each baseline decide at its project's default interval instead of after each sample")
    var usualIntervals = false

    @Option(
        help: "Fault level: none, light (one a day per host), heavy (one an hour per host) or torture",
        transform: word
    )
    var faults: FaultLevel = .none

    @Option(help: "Seed of load, faults and all other random choices")
    var seed: UInt64 = 1

    @Option(help: "Number of simulations to run in parallel (default: one per core)")
    var jobs: Int?

    @Option(help: ArgumentHelp("Write table and plots to an HTML file", valueName: "file"))
    var report: String?

    @Option(help: ArgumentHelp("Write Evenkeel's event log to a file", valueName: "file"))
    var log: String?

    @Flag(help: "Print JSON")
    var json = false

    @Option(help: ArgumentHelp("Number of seeds to torture-test on small fleets, from --seed on", valueName: "count"))
    var torture: Int?

    @Option(
        help: ArgumentHelp(
            "Faults of a torture seed to inject, by number, separated by commas (default: all)",
            valueName: "numbers"
        )
    )
    var onlyFaults: String?

    func validate() throws {
        _ = try Contender.named(baselines)
        if let jobs, !(1...1024).contains(jobs) { throw ValidationError("--jobs must be 1 to 1024.") }
        if let torture {
            guard torture >= 1 else { throw ValidationError("--torture must be at least 1.") }
            if log != nil || onlyFaults != nil, torture != 1 {
                throw ValidationError("--log and --only-faults examine a single seed: use --torture 1 and --seed.")
            }
            guard baselines.isEmpty, report == nil, !usualIntervals else {
                throw ValidationError(
                    "--torture tests Evenkeel alone: it excludes --baseline, --usual-intervals and --report."
                )
            }
            guard fleet.isUntouched else {
                throw ValidationError("--torture generates its own fleets: it excludes the options of the fleet.")
            }
            _ = try faultNumbers()
        } else if usualIntervals, baselines.isEmpty {
            throw ValidationError("--usual-intervals requires --baseline.")
        } else if onlyFaults != nil {
            throw ValidationError("--only-faults requires --torture 1.")
        }
    }

    func run() async throws {
        let command = self
        do {
            try await cancellingOnShutdownSignals {
                if let torture = command.torture {
                    try await command.tortured(torture)
                } else {
                    try await command.compared()
                }
            }
        } catch is CancellationError {
            printError("Interrupted. There is no result.")
            throw ExitCode.failure
        }
    }

    private var workers: Int { jobs ?? ProcessInfo.processInfo.activeProcessorCount }

    // MARK: comparison

    private func compared() async throws {
        let (scene, settings, measured) = try await fleet.scene(seed: seed, faults: faults)
        let run = SimulationRun(
            settings: settings,
            measured: measured,
            contenders: try Contender.named(baselines),
            usualIntervals: usualIntervals,
            jobs: workers,
            log: try log.map { try LogFile($0) }
        )
        let view = SimulationProgress(hours: measured.inSeconds / 3600, isQuiet: json)
        if !json { printLine("\(scene.text)\n") }
        let rows: [SimulationOutcome.Row]
        do {
            rows = try await run.run { await view.show($0) }
        } catch let broken as BrokenRun {
            throw failure(broken, replay: nil)
        }
        let outcome = SimulationOutcome(scene: scene, rows: rows, peakMiB: SimulationRun.peakMiB)
        if let report { try FleetInput.write(Data(SimulationReport(outcome: outcome).html.utf8), to: report) }
        printLine(json ? try jsonText(outcome) : outcome.text)
        if let report, !json { printLine("\nReport: \(report)") }
    }

    // MARK: torture

    private func faultNumbers() throws -> [Int]? {
        try onlyFaults?.split(separator: ",").map { word in
            guard let number = Int(word), number >= 0 else {
                throw ValidationError("--only-faults takes numbers separated by commas, not '\(word)'.")
            }
            return number
        }
    }

    private func tortured(_ count: Int) async throws {
        let torture = Torture(level: faults == .none ? .torture : faults)
        let all = torture.settings(seed: seed).faults.indices
        let chosen = try faultNumbers()
        if let wrong = chosen?.first(where: { !all.contains($0) }) {
            throw ValidationError(
                "Seed \(seed) has \(all.count) faults, numbered from 0: there is no fault \(wrong)."
            )
        }
        if let only = chosen ?? (log == nil ? nil : Array(all)) {
            return try examined(torture, only: only)
        }
        let runs = TortureRuns(first: seed, runs: count, torture: torture, workers: workers)
        let view = TortureProgress(runs: count, isQuiet: json)
        let (summary, broken) = await runs.run { await view.show($0) }
        try Task.checkCancellation()
        printLine(json ? try jsonText(summary) : summary.text(first: seed))
        if let first = broken.first {
            let replay =
                "evenkeel simulate --torture 1 --seed \(first.seed) "
                + "--only-faults '\(first.needed.map(String.init).joined(separator: ","))'"
            throw failure(first, replay: faults == .none ? replay : "\(replay) --faults \(faults.rawValue)")
        }
    }

    /// Runs one seed with some of its faults, with every event in the log.
    private func examined(_ torture: Torture, only: [Int]) throws {
        let file = try log.map { try LogFile($0) }
        do throws(Violation) {
            let outcome = try torture.run(seed: seed, only: only) { file?.write($0) }
            printLine("No invariant violated: \(outcome.faults) faults, \(outcome.migrations) migrations.")
        } catch {
            file?.write("\(error)")
            printError("Error: seed \(seed): \(error)")
            throw ExitCode.failure
        }
    }

    /// Reports the violated invariant with the events that led to it.
    private func failure(_ broken: BrokenRun, replay: String?) -> ExitCode {
        printError("\(broken)\nLast events:")
        for line in broken.trace.suffix(40) { printError("  \(line)") }
        if let replay { printError("To repeat it with a full event log: \(replay) --log FILE") }
        return ExitCode.failure
    }
}

/// Parses a word of a closed list; the error names all of them.
func word<Word: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Word {
    guard let word = Word(rawValue: text) else {
        throw ValidationError("'\(text)' is not one of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return word
}
