// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import HostOS
import Fleet
import Lab

@main
struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evenkeel-lab",
        abstract: "Run a lab of hypervisor hosts, storage and guests on this machine",
        discussion: """
            Each host is a set of namespaces with a CPU quota and its own libvirtd, strongSwan and evenkeel-agent. All names \
            start with evenkeel-lab; nothing else on the machine is changed. Needs root.
            """,
        subcommands: [
            Up.self, Down.self, Status.self, DemoCommand.self, SniffCommand.self, TamperCommand.self,
            FaultsCommand.self, CompareCommand.self, SoakCommand.self, ProbeCommand.self, WireCommand.self,
            StreamCommand.self,
        ]
    )

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start the lab: hosts, storage, guests, agents and a controller",
            discussion: "The lab runs until 'evenkeel-lab down'. Only one lab can run at a time."
        )

        @Option(help: "Number of hosts")
        var hosts = 3

        @Option(help: "Number of guests, all on the first host")
        var guests = 6

        @Flag(help: "Start no controller, so that no guest moves automatically")
        var noController = false

        func validate() throws {
            guard (1...9).contains(hosts) else { throw ValidationError("--hosts must be 1 to 9.") }
            guard (0...20).contains(guests) else { throw ValidationError("--guests must be 0 to 20.") }
        }

        func run() async throws {
            let (hosts, guests, controls) = (hosts, guests, !noController)
            let lab = try await interruptible {
                let programs = try Programs.nextToThisProcess()
                let lab = try await HostLab.up(.allOnFirst(hosts: hosts, guests: guests)) { printLine($0) }
                do {
                    try await lab.startAgents(programs, settings: lab.settings)
                    try lab.configure(lab.settings)
                    // The commands to try need samples from the agents.
                    try await lab.waitForSamples()
                    if controls { try await lab.startController(programs) }
                } catch {
                    await takeDown()
                    throw error
                }
                return lab
            }
            print(
                """
                The lab is up. Try:
                  evenkeel status --config \(lab.configurationFile)
                  evenkeel migrate vm1 h2 --channel tls --config \(lab.configurationFile)
                  evenkeel certificates --folder \(lab.site.clusterFolder)
                  \(lab.hosts.first?.enterPath ?? "") virsh list
                  evenkeel-lab down
                """
            )
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take every lab of this machine down, even if it was started only in part",
            discussion: "Leaves a lab that another evenkeel-lab process runs, such as a soak, and exits with code 1."
        )

        @Flag(help: "Also take down labs that another evenkeel-lab process runs")
        var force = false

        func run() async throws {
            var failures: [String] = []
            // What one lab leaves must not keep the others up.
            for site in LabSite.all {
                if !force, let user = HostLab.user(of: site) {
                    failures.append("\(user) runs the lab in \(site.stateFolder): stop it, or use --force")
                } else {
                    do { try await HostLab.down(site: site) } catch { failures.append("\(error)") }
                }
            }
            for failure in failures { printError(failure) }
            if !failures.isEmpty { throw ExitCode.failure }
            print("All labs are down.")
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the lab's hosts, daemons and guests")

        @Flag(help: "Print JSON")
        var json = false

        func run() async throws {
            let status = try await HostLab.attach().status()
            print(json ? try jsonText(status) : Self.text(status))
        }

        private static func text(_ status: LabStatus) -> String {
            func ids(_ processes: [Int32]) -> String {
                processes.isEmpty ? "down" : processes.map(String.init).joined(separator: " ")
            }
            let hosts = TextTable(
                ["HOST", "ADDRESS", "INNER", "CORES", "MEMORY", "LIBVIRTD", "CHARON", "SSHD", "AGENT"],
                status.hosts.map {
                    [
                        $0.name.rawValue, $0.address, $0.innerAddress, Units.decimals($0.capacity.cores),
                        "\($0.capacity.memoryBytes >> 20) MiB", ids($0.libvirtd), ids($0.charon), ids($0.sshd),
                        ids($0.agent),
                    ]
                },
                empty: "No hosts."
            )
            let guests = TextTable(
                ["GUEST", "RUNS ON", "WORK (UNITS/S)", "PROBLEM"],
                status.guests.map {
                    [
                        $0.name,
                        $0.placement.map { $0.running.map(\.rawValue).joined(separator: ", ") } ?? "?",
                        $0.rate.map { Units.decimals($0, 1) } ?? "?",
                        $0.problem ?? "-",
                    ]
                },
                empty: "No guests."
            )
            return "\(hosts.text)\n\n\(guests.text)"
        }
    }
}

/// Runs work that takes down its lab when Ctrl-C cancels it, and then exits with 130, as shells expect.
func interruptible<Value: Sendable>(_ work: @Sendable @escaping () async throws -> Value) async throws -> Value {
    do {
        return try await cancellingOnShutdownSignals(work)
    } catch is CancellationError {
        printError("Interrupted.")
        throw ExitCode(130)
    }
}

/// Takes the lab down from a task that may have been cancelled; prints what could not be removed.
func takeDown() async {
    // In a separate task: in a cancelled one every wait of the clean-up would throw at once.
    if case .failure(let error) = await Task(operation: { try await HostLab.down() }).result {
        printError("\(error)")
    }
}
