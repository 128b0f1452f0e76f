// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import Fleet
import Foundation
import HostOS
import Lab
import Settings
import Synchronization

/// The options of a probe; the same for any address and for the lab's guests.
struct ProbeOptions: ParsableArguments {
    @Option(
        help: "Interval between two requests; the resolution of the measured downtime (default: 20ms)",
        transform: { try parseDuration($0) }
    )
    var interval: Duration = .milliseconds(20)

    @Option(
        help: "Duration of the probe, such as 30s (default: until Ctrl-C)",
        transform: { try parseDuration($0) }
    )
    var duration: Duration?

    @Flag(help: "Print JSON, including each request")
    var json = false

    @Option(help: "Write the round trips over time to this SVG file")
    var plot: String?

    /// Probes until the duration has passed or Ctrl-C, and prints the results.
    func probe(
        _ address: String,
        makeSocket: (Int32, Int32, Int32) throws -> Int32 = { socket($0, $1, $2) }
    ) async throws {
        let socket = try EchoSocket(to: address, makeSocket: makeSocket)
        defer { socket.close() }
        let view = Mutex(LiveView())
        let isQuiet = json
        let probe = EchoProbe(
            socket: socket,
            interval: interval.inSeconds,
            duration: duration?.inSeconds,
            live: { series in
                if !isQuiet { view.withLock { $0.draw(ProbeReport.liveLine(series)) } }
            }
        )
        let series = try await cancellingOnShutdownSignals { try await probe.run() }
        let report = ProbeReport(address: address, series: series)
        if let plot { try report.svg.write(toFile: plot, atomically: true, encoding: .utf8) }
        let text = json ? try jsonText(report) : report.text
        view.withLock { $0.keep(text) }
    }
}

struct ProbeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Ping a VM and show whether an outside observer can detect a move",
        discussion: """
            Sends ICMP echo requests at even intervals and shows round-trip times, every period without an answer \
            (downtime as a client sees it) and whether a move is detectable: round-trip times that rise and scatter while \
            memory is copied, a gap, another level afterwards (König and Steinmetz, 2011).

            Start it about ten seconds before the move and stop it about ten seconds after. Needs root, or the right of \
            the group to ping (sysctl net.ipv4.ping_group_range). Ctrl-C stops it and prints the summary.
            """
    )

    @Argument(help: "IPv4 address, IPv6 address or name of the VM; with --guest, a guest of the lab (vm1, vm2, …)")
    var address: String

    @Flag(help: "Ping a guest of the lab, from an address on the lab's LAN that belongs to no host (10.77.0.240)")
    var guest = false

    @OptionGroup var options: ProbeOptions

    func run() async throws {
        guard guest else { return try await options.probe(address) }
        let lab = try HostLab.attach()
        let address = try lab.guest(address).address
        let stranger = try await lab.stranger()
        try await options.probe(address) { try stranger.openSocket($0, $1, $2) }
    }
}
