// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Fleet
import Foundation
import Lab
import Settings

struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Measure every channel beside plain: downtime, time, CPU, throughput, and what the wire shows.",
        discussion: """
            Makes a lab of two hosts with 0.9 of a core each and moves one guest to and fro, the channels taking turns; \
            beside it a bulk transfer through the same path. Takes the lab down at the end. Exit code 0: every move was \
            made, with evidence of its protection, and no goal was missed. Use the release build ('make bench-channels'), and leave the machine alone meanwhile.
            """
    )

    @OptionGroup var options: DemonstrationOptions

    @Option(help: "Measured moves per channel; one more is listened to.")
    var moves = 3

    @Option(help: "How much memory of the guest is filled with data, in MiB.")
    var fill = 512

    @Option(help: "Memory that the guest rewrites, in MiB per second.")
    var dirty = 2.0

    @Option(help: "The size of the bulk transfers, in MiB.")
    var bulk = 256

    @Option(help: "What each host's link carries, in Mbit/s, say 1000 (default: as much as the CPUs can).")
    var link: Int?

    @Option(help: "Write channels.md, channels.json and channels.svg to this folder.")
    var report: String?

    func validate() throws {
        guard moves > 0, bulk > 0 else { throw ValidationError("--moves and --bulk must be above zero.") }
        guard (0...1024).contains(fill), (0...16).contains(dirty) else {
            throw ValidationError("--fill must be 0 to 1024 and --dirty 0 to 16.")
        }
        guard (1...100_000).contains(link ?? 1) else { throw ValidationError("--link must be 1 to 100000 Mbit/s.") }
    }

    func run() async throws {
        let command = self
        let comparison = try await options.inLab { plan in
            plan.hosts = plan.hosts.map {
                HostPlan(number: $0.number, cores: $0.cores, memoryBytes: 2560 << 20, linkMegabits: command.link)
            }
            plan.guests = [
                GuestPlan(
                    number: 1,
                    host: HostName("h1"),
                    memoryMiB: command.fill + 128,
                    roundsPerUnit: 200_000,
                    dirtyMiBPerSecond: command.dirty,
                    fillMiB: command.fill
                )
            ]
        } settings: {
            // The agents' rhythm must not hide what a channel itself takes before it begins.
            $0.ledger.pollInterval = .milliseconds(100)
        } _: { lab, programs, channels in
            try await command.measure(lab, programs, channels)
        }
        if let report { try comparison.write(to: report) }
        printLine(options.json ? try jsonText(comparison) : "\n\(comparison.text)")
        if comparison.failed { throw ExitCode.failure }
    }

    private func measure(_ lab: HostLab, _ programs: Programs, _ channels: [Channel]) async throws -> ChannelComparison
    {
        let guest = try lab.guest("vm1")
        var measurement = try await ChannelMeasurement(lab: lab, guest: guest, programs: programs)
        var figures = channels.map { ChannelFigures(channel: $0) }
        // The move that is listened to comes first: it brings up what a channel keeps up, such as a tunnel.
        for index in figures.indices {
            let trial = try await measurement.listen(to: figures[index].channel)
            figures[index].listeningFailure = trial.failure
            if trial.failure == nil { figures[index].heard = trial.heard }
        }
        for round in 1...moves {
            for index in figures.indices {
                let channel = figures[index].channel
                figures[index].bulk.append(try await measurement.bulk(over: channel, bytes: bulk << 20))
                let move = try await measurement.move(over: channel)
                figures[index].moves.append(move)
                let words = move.failure ?? move.totalSeconds.map { "\(FleetView.decimals($0)) s" } ?? "?"
                options.say("round \(round) of \(moves), \(channel.rawValue): \(words)")
            }
        }
        let emulation = lab.domainType == "kvm" ? "KVM" : "software emulation (TCG)"
        let esp = lab.kernelHasESP ? "in the kernel" : "in user space"
        let cores = FleetView.decimals(lab.hosts.first?.capacity.cores ?? 0, 1)
        return ChannelComparison(
            machine: "\(ProcessInfo.processInfo.activeProcessorCount) cores, \(cores) for each host; "
                + (link.map { "links of \($0) Mbit/s; " } ?? "") + "guests by \(emulation); ESP \(esp)",
            guest: "A guest of \(guest.memoryMiB) MiB with \(fill) MiB of data, \(FleetView.decimals(dirty, 1)) MiB "
                + "rewritten each second",
            channels: figures
        )
    }
}
