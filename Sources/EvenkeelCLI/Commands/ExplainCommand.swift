// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Balancing
import Fleet

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Explain why a VM would or would not move, or how a host is judged",
        discussion: "Uses the plan that 'evenkeel plan' shows with the same options."
    )

    @Argument(help: "Name or UUID of a VM, or name of a host")
    var name: String

    @Flag(help: "Treat the name as that of a VM")
    var vm = false

    @Flag(help: "Treat the name as that of a host")
    var host = false

    @Flag(help: "Print JSON")
    var json = false

    @OptionGroup var input: FleetInputOptions
    @OptionGroup var planning: PlanningOptions

    func validate() throws {
        if vm, host { throw ValidationError("--vm and --host exclude each other.") }
    }

    /// The answer as JSON.
    struct Answer: Encodable {
        var kind: String
        var name: String
        var lines: [String]
        /// The code of each line.
        var codes: [String]
    }

    func run() async throws {
        var fleet = try await FleetInput.read(input)
        let meaning = try FleetNames.meaning(of: name, in: fleet.model, kind: vm ? .vm : host ? .host : nil)
        let search = PlanSearch(fleet, planning)
        let plan = search.plan(for: &fleet)
        let (kind, name, answers) =
            switch meaning {
            case .vm(let id): ("vm", id.rawValue, search.planner.explain(vm: id, in: fleet.model, plan: plan))
            case .host(let host):
                ("host", host.rawValue, search.planner.explain(host: host, in: fleet.model, plan: plan))
            }
        let explanations = answers + Self.inactiveVMs(of: meaning, in: fleet)
        let answer = Answer(
            kind: kind,
            name: name,
            lines: explanations.map(\.description),
            codes: explanations.map(\.code)
        )
        printLine(json ? try jsonText(answer) : answer.lines.joined(separator: "\n"))
    }

    /// Returns the VMs that stay on a host in maintenance because they are off.
    private static func inactiveVMs(of meaning: FleetNames.Meaning, in fleet: FleetInput) -> [Explanation] {
        guard case .host(let host) = meaning,
            fleet.model.hosts.contains(where: { $0.name == host && $0.mode == .maintenance }),
            let vms = fleet.snapshot?.inactiveVMs(on: host), !vms.isEmpty
        else { return [] }
        return [.inactive(host, vms)]
    }
}
