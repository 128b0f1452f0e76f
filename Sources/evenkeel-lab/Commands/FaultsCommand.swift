// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Foundation
import HostOS
import Lab

struct FaultsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Break daemons, storage, links and hosts in the middle of moves, and check what became of the VMs",
        discussion: """
            Starts a lab of three hosts. Draws cells COMPONENT/ACTION/PHASE/CHANNEL from a seed, and for each one moves a \
            guest, injects the fault in that phase, repairs it, and checks the rules: every VM runs on exactly one host with \
            its definition and autostart, memory and disks are intact, the order has ended, and the next move succeeds. If a \
            rule is broken, it keeps the evidence in the report's folder and goes on in a new lab.

            A cell takes one to five minutes. Results are added to those in the report's folder if seed, version, machine and \
            build are the same. Drawn cells that have a result are skipped: the same command continues an interrupted run, \
            and --first 21 --runs 20 adds 20 cells to a run of 20. Cells of --only always run.

            Exit code 0: no rule was broken, and every cell counts. A cell whose phase was missed three times does not.
            """
    )

    @Option(help: "Number of different cells to run")
    var runs = 10

    @Option(help: "Place of the first cell to run among the cells of the seed")
    var first = 1

    @Option(help: "Number of labs that run cells at the same time; each needs about 2 GiB of memory and half a core")
    var labs = 1

    @Option(help: "Random seed for the choice of cells")
    var seed: UInt64 = 1

    @Option(
        help: "Run this cell only, such as source-agent/kill/copying/ipsec; repeatable",
        transform: { name in
            guard let cell = FaultCell(name) else {
                throw ValidationError("unknown cell '\(name)'. To list the cells: evenkeel-lab faults --cells")
            }
            if let reason = cell.exclusion { throw ValidationError("'\(name)' is not a cell: \(reason).") }
            return cell
        }
    )
    var only: [FaultCell] = []

    @Flag(help: "List all cells, and why other combinations are excluded; run nothing")
    var cells = false

    @Flag(help: "Print JSON")
    var json = false

    @Option(help: "Folder for faults.md, faults.json, steps.log and the evidence of broken rules")
    var report = "fault-report"

    func validate() throws {
        guard (1...10_000).contains(runs) else { throw ValidationError("--runs must be 1 to 10000.") }
        guard (1...10_000).contains(first) else { throw ValidationError("--first must be 1 to 10000.") }
        let most = LabSite.matrix.count
        guard (1...most).contains(labs) else { throw ValidationError("--labs must be 1 to \(most).") }
        guard only.isEmpty || first == 1 else { throw ValidationError("--first does not go with --only.") }
    }

    func run() async throws {
        guard !cells else {
            printLine(json ? try jsonText(FaultCell.possible) : FaultReport.list)
            return
        }
        signal(SIGPIPE, SIG_IGN)
        let chosen = only.isEmpty ? Array(FaultCell.draw(first + runs - 1, seed: seed).dropFirst(first - 1)) : only
        let matrix = try FaultMatrix(
            cells: chosen,
            first: only.isEmpty ? first : nil,
            labs: min(labs, chosen.count),
            origin: try await .now(seed: only.isEmpty ? seed : nil),
            folder: report,
            isJSON: json
        )
        if only.isEmpty, chosen.count < runs { matrix.step("there are only \(FaultCell.possible.count) cells") }
        let finished = try await interruptible { try await matrix.run() }
        printLine(json ? try jsonText(finished) : "\n\(finished.markdown)")
        let summary = "\(finished.summary); report: \(report)/faults.md"
        if json { printError(summary) } else { printLine("\n\(summary)") }
        if !finished.passed { throw ExitCode.failure }
    }
}

extension FaultReport.Origin {
    /// Returns the origin of a run by this program on this machine.
    static func now(seed: UInt64?) async throws -> Self {
        let folder = try Programs.nextToThisProcess().lab.split(separator: "/").dropLast().map { "/\($0)" }.joined()
        let described = try? await Command("git", ["-C", folder, "describe", "--always", "--dirty"]).run()
        let model = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
            .split(separator: "\n").first { $0.hasPrefix("model name") }?.split(separator: ":").last
        let cores = ProcessInfo.processInfo.activeProcessorCount
        #if DEBUG
        let build = "debug"
        #else
        let build = "release"
        #endif
        return Self(
            seed: seed,
            version: described?.split(whereSeparator: \.isWhitespace).first.map(String.init),
            machine: "\(cores) cores" + (model.map { " (\($0.drop { $0 == " " }))" } ?? ""),
            build: build
        )
    }
}
