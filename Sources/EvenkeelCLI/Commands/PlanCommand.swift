// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Balancing
import HostOS
import Fleet
import FleetFiles
import Foundation
import Ledger

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Show which VMs to move where, in which order, why, and to what effect",
        discussion: """
            Plans for the running fleet, as recorded in the ledger, or for a fleet in a file. Without --apply, nothing \
            is moved and nothing is written to the ledger. With --apply, Ctrl-C ends the command, and moves that were \
            ordered continue. docs/plan-commands.md describes the keys of --json.
            """
    )

    @OptionGroup var input: FleetInputOptions
    @OptionGroup var planning: PlanningOptions

    @Flag(help: "Print JSON")
    var json = false

    @Flag(help: "Order the moves of the first wave and follow them (requires policy.mode manual)")
    var apply = false

    @Flag(help: "Show all hosts, even if there are many")
    var allHosts = false

    @Flag(help: "Show all moves, even if there are many")
    var allMoves = false

    @Option(
        help: ArgumentHelp("Write the placement after the plan to a file in Ganeti's text format", valueName: "file")
    )
    var writeGaneti: String?

    @Option(help: ArgumentHelp("Write the placement after the plan to a snapshot file", valueName: "file"))
    var writeSnapshot: String?

    @Option(
        help: ArgumentHelp("Write an SVG with each host's CPU and memory before and after the plan", valueName: "file")
    )
    var plot: String?

    func validate() throws {
        if writeGaneti != nil, input.ganeti == nil {
            throw ValidationError("--write-ganeti requires --ganeti.")
        }
        if apply, input.snapshot != nil || input.ganeti != nil {
            throw ValidationError("--apply moves VMs of the running fleet: it excludes --snapshot and --ganeti.")
        }
        if apply, json { throw ValidationError("--apply prints its progress: it excludes --json.") }
        if json, allHosts || allMoves {
            throw ValidationError("--json always prints all hosts and moves: it excludes --all-hosts and --all-moves.")
        }
    }

    func run() async throws {
        let settings = try input.configuration.settings()
        if apply { try PlanApplication.check(settings) }
        var fleet = try await FleetInput.read(input)
        let search = PlanSearch(fleet, planning)
        let plan = search.plan(for: &fleet)
        let placement = search.planner.placement(after: plan, of: fleet.model)
        if let writeGaneti, let ganeti = fleet.ganeti {
            try FleetInput.write(Data(ganeti.text(placing: placement).utf8), to: writeGaneti)
        }
        if let writeSnapshot {
            var after = fleet.model
            for index in after.vms.indices {
                after.vms[index].host = placement[after.vms[index].id] ?? after.vms[index].host
            }
            try FleetInput.write(try SnapshotFile(model: after).encoded(), to: writeSnapshot)
        }
        let view = PlanView(plan, of: fleet, planner: search.planner, seed: planning.seed)
        if let plot {
            let svg = PlanPlot(hosts: view.hosts, policy: fleet.policy).svg
            try FleetInput.write(Data(svg.utf8), to: plot)
        }
        printLine(
            json ? try jsonText(view) : view.text(PlanView.Extent(allHosts: allHosts, allMoves: allMoves))
        )
        guard apply, !plan.moves.isEmpty, let snapshot = fleet.snapshot else { return }
        printLine("")
        let ledger = try await input.configuration.openOperatorsLedger(settings)
        try await cancellingOnShutdownSignals {
            try await PlanApplication(plan: plan, snapshot: snapshot, settings: settings, ledger: ledger).run {
                printLine($0)
            }
        }
    }
}
