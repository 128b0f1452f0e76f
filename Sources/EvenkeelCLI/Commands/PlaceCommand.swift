// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Balancing
import Fleet
import Settings

struct PlaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "place",
        abstract: "Find the best hosts for a new VM"
    )

    @Option(help: "Expected CPU use, in cores")
    var cores: Double

    @Option(help: "Size of its memory, such as 4G or 512M", transform: { try parseSize($0, upTo: 1 << 50) })
    var memory: UInt64

    @Option(help: "Number of VCPUs (default: --cores, rounded up)")
    var vcpus: Int?

    @Option(help: ArgumentHelp("Storage that its host must reach (repeatable)", valueName: "name"))
    var storage: [String] = []

    @Option(help: ArgumentHelp("Network that its host must reach (repeatable)", valueName: "name"))
    var network: [String] = []

    @Option(help: "Number of hosts to show")
    var top = 5

    @Flag(help: "Print JSON")
    var json = false

    @OptionGroup var input: FleetInputOptions

    func validate() throws {
        guard cores.isFinite, cores >= 0, cores <= 10_000 else {
            throw ValidationError("--cores must be 0 to 10000.")
        }
        if let vcpus {
            guard (1...10_000).contains(vcpus) else { throw ValidationError("--vcpus must be 1 to 10000.") }
            guard Double(vcpus) >= cores else { throw ValidationError("--cores must not be above --vcpus.") }
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
        printLine(json ? try jsonText(shown) : Self.text(shown, possible: possible.count, of: choices.count))
        if possible.isEmpty { throw ExitCode.failure }
    }

    static func text(_ shown: [HostChoice], possible: Int, of hosts: Int) -> String {
        if possible == 0 {
            let reasons = shown.map { "  \($0.host): \($0.obstacle?.description ?? "")" }
            return (["None of the \(hosts) hosts can take the VM:"] + reasons).joined(separator: "\n")
        }
        let table = TextTable(
            ["HOST", "CPU", "MEMORY", "FLEET IMBALANCE", ""],
            shown.map { choice in
                [
                    choice.host.rawValue, choice.cpu.map(percent) ?? "?",
                    choice.memory.map(percent) ?? "?", choice.imbalance.map(Units.number) ?? "?",
                    choice.isOverloaded ? "overloaded" : "",
                ]
            },
            empty: ""
        )
        let warning = shown.first?.isOverloaded == true ? "\nwarning: the VM would overload every host" : ""
        return table.text
            + "\n\n\(possible) of \(hosts) hosts have room. Values include the new VM; best host first.\(warning)"
    }
}
