// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EvenkeelCLI
import HostOS
import Foundation
import Lab
import Settings
import Synchronization

/// The options of a probe; the same for any address and for the lab's guests.
struct ProbeOptions: ParsableArguments {
    @Option(help: "Interval between two requests; the resolution of the measured downtime")
    var interval: String = "20ms"

    @Option(help: "Duration of the probe, such as 30s (default: until Ctrl-C)")
    var duration: String?

    @Flag(help: "Print JSON, including each request")
    var json = false

    @Option(help: "Write the round trips over time to this SVG file")
    var plot: String?

    func validate() throws {
        guard try seconds(interval, of: "--interval") >= 0.001 else {
            throw ValidationError("--interval must be at least 1ms.")
        }
        if let duration, try seconds(duration, of: "--duration") <= 0 {
            throw ValidationError("--duration must be above zero.")
        }
    }

    fileprivate func seconds(_ text: String, of option: String) throws -> Double {
        let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0)]
        for (unit, factor) in units where text.hasSuffix(unit) {
            if let number = Double(text.dropLast(unit.count)) { return number * factor }
        }
        throw ValidationError("invalid \(option) '\(text)': give a number with ms, s or m, such as 20ms.")
    }

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
            interval: try seconds(interval, of: "--interval"),
            duration: try duration.map { try seconds($0, of: "--duration") },
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
        abstract: "Ping a VM and show whether an outside observer can detect a move.",
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
