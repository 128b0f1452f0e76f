// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Glibc
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

            A cell takes one to three minutes. Exit code 0: no rule was broken. Cells whose phase was missed three times \
            count as missed.
            """
    )

    @Option(help: "Number of different cells to run")
    var runs = 10

    @Option(help: "Random seed for the choice of cells")
    var seed: UInt64 = 1

    @Option(
        help: "Run this cell only, such as source-agent/kill/copying/ipsec; repeatable",
        transform: { name in
            guard let cell = FaultCell(name) else {
                throw ValidationError("unknown cell '\(name)'. To list the cells: evenkeel-lab faults --cells")
            }
            if let reason = cell.exclusion { throw ValidationError("'\(name)' is no cell: \(reason).") }
            return cell
        }
    )
    var only: [FaultCell] = []

    @Flag(help: "List all cells, and why other combinations are none; run nothing")
    var cells = false

    @Flag(help: "Print JSON")
    var json = false

    @Option(help: "Folder for faults.md, faults.json, steps.log and the evidence of broken rules")
    var report = "fault-report"

    func validate() throws {
        guard runs > 0 else { throw ValidationError("--runs must be above zero.") }
    }

    func run() async throws {
        guard !cells else {
            printLine(json ? try jsonText(FaultCell.possible) : FaultReport.list)
            return
        }
        signal(SIGPIPE, SIG_IGN)
        let chosen = only.isEmpty ? FaultCell.draw(runs, seed: seed) : only
        let matrix = try FaultMatrix(cells: chosen, seed: only.isEmpty ? seed : nil, folder: report, isJSON: json)
        if only.isEmpty, chosen.count < runs { matrix.step("there are only \(chosen.count) cells") }
        let finished = try await interruptible { try await matrix.run() }
        printLine(json ? try jsonText(finished) : "\n\(finished.markdown)")
        if finished.results.contains(where: { $0.verdict == .broken }) { throw ExitCode.failure }
    }
}
