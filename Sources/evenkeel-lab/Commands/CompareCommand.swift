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
        abstract: "Compare every channel with plain: downtime, total time, CPU, throughput, visible secrets",
        discussion: """
            Starts a lab of two hosts with 0.9 cores each and moves one guest back and forth. The channels take turns. Also \
            measures a bulk transfer over the same path. Takes the lab down at the end.

            Exit code 0: every move succeeded with evidence of its protection, and no goal was missed. Use the release build \
            ('make bench-channels') and keep the machine idle meanwhile.
            """
    )

    @OptionGroup var options: DemonstrationOptions

    @Option(help: "Measured moves per channel; one more is captured on the wire")
    var moves = 3

    @Option(help: "Guest memory to fill with data, in MiB")
    var fill = 512

    @Option(help: "Rate at which the guest rewrites memory, in MiB/s")
    var dirty = 2.0

    @Option(help: "Size of each bulk transfer, in MiB")
    var bulk = 256

    @Option(help: "Rate of each host's link, in Mbit/s, such as 1000 (default: unlimited)")
    var link: Int?

    @Option(help: "Write channels.md, channels.json and channels.svg to this folder")
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
                    unitMicroseconds: 500,
                    dirtyMiBPerSecond: command.dirty,
                    fillMiB: command.fill
                )
            ]
        } settings: {
            // The agents' polling interval must not hide the setup time of a channel.
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
        // The captured move comes first: it establishes what a channel keeps, such as a tunnel.
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
                let words = move.failure ?? move.totalSeconds.map { "\(Units.decimals($0)) s" } ?? "?"
                options.say("round \(round) of \(moves), \(channel.rawValue): \(words)")
            }
        }
        let emulation = lab.domainType == "kvm" ? "KVM" : "software emulation (TCG)"
        let esp = lab.kernelHasESP ? "in the kernel" : "in user space"
        let cores = Units.decimals(lab.hosts.first?.capacity.cores ?? 0, 1)
        return ChannelComparison(
            machine: "\(ProcessInfo.processInfo.activeProcessorCount) cores, \(cores) for each host; "
                + (link.map { "links of \($0) Mbit/s; " } ?? "") + "guests by \(emulation); ESP \(esp)",
            guest: "A guest of \(guest.memoryMiB) MiB with \(fill) MiB of data, \(Units.decimals(dirty, 1)) MiB "
                + "rewritten each second",
            channels: figures
        )
    }
}
