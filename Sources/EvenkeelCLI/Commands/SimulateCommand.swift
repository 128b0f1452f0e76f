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
        abstract: "Try policies on a simulated fleet, or torture the controller and the agents with faults.",
        discussion: """
            The controller and the agents are the very code of production, in virtual time. The same options and seed \
            give the same run.

              evenkeel simulate --traces FOLDER --rival all --report report.html
              evenkeel simulate --hosts 1000 --load diurnal --hours 48
              evenkeel simulate --hosts 50 --faults light --hours 24
              evenkeel simulate --torture 1000

            Rivals are written from what their authors published; docs/simulation.md says from what. A broken promise \
            ends the run with exit code 1, the seed, and the fewest faults found that break it.
            """
    )

    @OptionGroup(title: "The fleet") var fleet: SimulatedFleetOptions

    @Option(
        name: .customLong("rival"),
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Rivals to compare with: all, or \(Rivals.all.map(\.name).joined(separator: ", ")).",
            valueName: "name"
        )
    )
    var rivals: [String] = []

    @Flag(help: "Rivals decide as often as their projects do by default, instead of after each sample.")
    var usualIntervals = false

    @Option(
        help: "What goes wrong: none, light (a fault a day for each host), heavy (an hour) or torture.",
        transform: word
    )
    var faults: FaultLevel = .none

    @Option(help: "The seed of load, faults and everything else that is drawn.")
    var seed: UInt64 = 1

    @Option(help: "How many simulations run at the same time (default: one for each core).")
    var jobs: Int?

    @Option(help: ArgumentHelp("Write table and plots to one HTML file.", valueName: "file"))
    var report: String?

    @Option(help: ArgumentHelp("Write Evenkeel's event log.", valueName: "file"))
    var log: String?

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: ArgumentHelp("Torture small fleets with this many seeds, from --seed on.", valueName: "runs"))
    var torture: Int?

    @Option(help: ArgumentHelp("Of a torture seed's faults, only these numbers (with commas).", valueName: "numbers"))
    var onlyFaults: String?

    func validate() throws {
        _ = try Contender.named(rivals)
        if let jobs, !(1...1024).contains(jobs) { throw ValidationError("--jobs must be 1 to 1024.") }
        if let torture {
            guard torture >= 1 else { throw ValidationError("--torture must be at least 1.") }
            if log != nil || onlyFaults != nil, torture != 1 {
                throw ValidationError("--log and --only-faults look at one seed: give --torture 1 and --seed.")
            }
            guard rivals.isEmpty, report == nil, !usualIntervals else {
                throw ValidationError("--torture judges Evenkeel alone: --rival and --report do not go with it.")
            }
            guard fleet.isUntouched else {
                throw ValidationError("--torture makes fleets of its own: options of the fleet do not go with it.")
            }
            _ = try faultNumbers()
        } else if usualIntervals, rivals.isEmpty {
            throw ValidationError("--usual-intervals goes with --rival.")
        } else if onlyFaults != nil {
            throw ValidationError("--only-faults goes with --torture 1.")
        }
    }

    func run() async throws {
        let command = self
        try await cancellingOnShutdownSignals {
            if let torture = command.torture {
                try await command.tortured(torture)
            } else {
                try await command.compared()
            }
        }
    }

    private var workers: Int { jobs ?? ProcessInfo.processInfo.activeProcessorCount }

    // MARK: comparison

    private func compared() async throws {
        let (scene, settings, measured) = try await fleet.scene(seed: seed, faults: faults)
        let run = SimulationRun(
            settings: settings,
            measured: measured,
            contenders: try Contender.named(rivals),
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
        if let report, !json { printLine("\nThe report: \(report)") }
    }

    // MARK: torture

    private func faultNumbers() throws -> [Int]? {
        try onlyFaults?.split(separator: ",").map { word in
            guard let number = Int(word), number >= 0 else {
                throw ValidationError("--only-faults takes numbers with commas, not '\(word)'.")
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
                "Seed \(seed) has \(all.count) faults, numbered from 0: there is none with number \(wrong)."
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

    /// One seed with some of its faults, every event of it in the log.
    private func examined(_ torture: Torture, only: [Int]) throws {
        let file = try log.map { try LogFile($0) }
        do throws(Violation) {
            let outcome = try torture.run(seed: seed, only: only) { file?.write($0) }
            printLine("No promise was broken: \(outcome.faults) faults, \(outcome.migrations) migrations.")
        } catch {
            file?.write("\(error)")
            printError("Error: seed \(seed): \(error)")
            throw ExitCode.failure
        }
    }

    /// Says what broke, with the events that led to it.
    private func failure(_ broken: BrokenRun, replay: String?) -> ExitCode {
        printError("\(broken)\nthe last events:")
        for line in broken.trace.suffix(40) { printError("  \(line)") }
        if let replay { printError("again, with every event: \(replay) --log FILE") }
        return ExitCode.failure
    }
}

/// A word of a closed list, with all of them in the message where it is none.
func word<Word: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Word {
    guard let word = Word(rawValue: text) else {
        throw ValidationError("'\(text)' is none of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return word
}
