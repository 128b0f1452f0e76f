// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Balancing
import Fleet

struct PlaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "place",
        abstract: "Say on which hosts a new VM would leave the fleet best balanced."
    )

    @Option(help: "CPU that it is expected to use, in cores.")
    var cores: Double

    @Option(help: "Its memory, such as 4G or 512M.", transform: Quantity.size)
    var memory: UInt64

    @Option(help: "Its VCPUs (default: its cores, rounded up).")
    var vcpus: Int?

    @Option(help: ArgumentHelp("A storage that its host must reach. May be repeated.", valueName: "name"))
    var storage: [String] = []

    @Option(help: ArgumentHelp("A network that its host must reach. May be repeated.", valueName: "name"))
    var network: [String] = []

    @Option(help: "How many hosts to show.")
    var top = 5

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var input: FleetInputOptions

    func validate() throws {
        guard cores.isFinite, cores >= 0, cores <= 10_000 else {
            throw ValidationError("--cores must be 0 to 10000.")
        }
        if let vcpus {
            guard (1...10_000).contains(vcpus) else { throw ValidationError("--vcpus must be 1 to 10000.") }
            guard Double(vcpus) >= cores else { throw ValidationError("--cores is more than --vcpus can use.") }
        }
        guard top >= 1 else { throw ValidationError("--top must be at least 1.") }
    }

    func run() async throws {
        let fleet = try await FleetInput.read(input)
        var vm = VirtualMachine(
            id: VMID("00000000-0000-0000-0000-000000000000"),
            name: "new VM",
            host: HostName(""),
            demand: Resources(cpuCores: cores, memoryBytes: memory),
            vcpus: vcpus ?? max(1, Int(cores.rounded(.up)))
        )
        vm.storages = Set(storage)
        vm.networks = Set(network)
        let choices = Planner(policy: fleet.policy)
            .bestHosts(for: vm, in: fleet.model)
        let possible = choices.filter { $0.obstacle == nil }
        let shown = Array((possible.isEmpty ? choices : possible).prefix(top))
        printLine(json ? try evenkeel.json(shown) : Self.text(shown, possible: possible.count, of: choices.count))
        if possible.isEmpty { throw ExitCode.failure }
    }

    static func text(_ shown: [HostChoice], possible: Int, of hosts: Int) -> String {
        if possible == 0 {
            let reasons = shown.map { "  \($0.host): \($0.obstacle?.description ?? "")" }
            return (["None of \(hosts) hosts can take it:"] + reasons).joined(separator: "\n")
        }
        let table = TextTable(
            ["HOST", "CPU WITH IT", "MEMORY", "IMBALANCE OF THE FLEET", ""],
            shown.map { choice in
                [
                    choice.host.rawValue, choice.cpu.map(FleetView.percent) ?? "?",
                    choice.memory.map(FleetView.percent) ?? "?", choice.imbalance.map(PlanView.number) ?? "?",
                    choice.isOverloaded ? "would be overloaded" : "",
                ]
            },
            empty: ""
        )
        let best = "those first that suffer least by it"
        let warning = shown.first?.isOverloaded == true ? "\nwarning: every host would be overloaded with it" : ""
        return table.text + "\n\n\(possible) of \(hosts) hosts have room for it, \(best).\(warning)"
    }
}
