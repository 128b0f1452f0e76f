// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Foundation
import Lab

extension ChannelComparison {
    private static let header = [
        "CHANNEL", "MOVES", "SECRET SEEN", "DOWNTIME", "CLIENT DOWNTIME", "TOTAL", "CPU S/GIB SOURCE",
        "CPU S/GIB TARGET", "THROUGHPUT", "BULK TRANSFER", "PROBES", "PINHOLE", "SETUP",
    ]

    private var rows: [[String]] {
        channels.map { figures in
            func shown(_ value: Double?, _ format: (Double) -> String) -> String { value.map(format) ?? "-" }
            let milliseconds = Self.milliseconds
            let done = figures.moves.count { $0.failure == nil }
            return [
                figures.channel.rawValue, done == figures.moves.count ? "\(done)" : "\(done) of \(figures.moves.count)",
                figures.heard.map { "\($0.secrets)" } ?? "-",
                shown(figures.median(\.downtimeSeconds), milliseconds),
                shown(figures.median(\.silenceSeconds), milliseconds),
                shown(figures.median(\.totalSeconds)) { "\(Units.decimals($0)) s" },
                shown(figures.median(\.sourceCPUPerGiB)) { Units.decimals($0) },
                shown(figures.median(\.targetCPUPerGiB)) { Units.decimals($0) },
                shown(figures.median(\.bytesPerSecond), Self.rate),
                shown(figures.bulkMedian, Self.rate),
                shown(figures.median(\.probeSeconds), milliseconds),
                shown(figures.median(\.pinholeSeconds), milliseconds),
                shown(figures.median(\.beginSeconds), milliseconds),
            ]
        }
    }

    private static func verdict(_ goal: Goal) -> String {
        switch goal.holds {
        case true?: "met"
        case false?: "MISSED"
        case nil: "not measured"
        }
    }

    var text: String {
        let lines = goals.map { "goal \(Self.verdict($0)): \($0.claim): \($0.seen)" }
        return ([TextTable(Self.header, rows, empty: "No measurements.").text, ""] + lines + besides)
            .joined(separator: "\n")
    }

    /// The setup time of each channel and the failures, which are not goals.
    private var besides: [String] {
        let proofs = proofs.map { "\($0.channel.rawValue) \(Self.milliseconds($0.seconds))" }.joined(separator: ", ")
        let failures = channels.flatMap { figures in
            figures.failures.map { "\(figures.channel.rawValue) failed: \($0)" }
        }
        return (proofs.isEmpty ? [] : ["setup time of each channel, compared with plain: \(proofs)"])
            + failures
    }

    var markdown: String {
        func line(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |" }
        let table = [line(Self.header.map { $0.lowercased() }), line(Self.header.map { _ in "---" })] + rows.map(line)
        let goals =
            [line(["goal", "verdict", "seen"]), line(["---", "---", "---"])]
            + self.goals.map { line([$0.claim, Self.verdict($0), $0.seen]) }
        return """
            # Channels compared

            \(machine). \(guest). All figures are medians. The channels took turns, so all of them ran on the same machine. \
            CPU is the usage of the whole host, minus its usage at rest. Throughput is the memory sent, divided by the total \
            time. Probes is the time to probe the target's gates, all in parallel. Pinhole is the time to open the gates. \
            Setup is the time to establish and verify the channel. The bulk transfer of sealed encrypts zeros onto the \
            shared storage, synchronises them, then reads and decrypts them at the target, all with openssl.

            \(table.joined(separator: "\n"))

            \(goals.joined(separator: "\n"))

            \(besides.map { "- \($0)" }.joined(separator: "\n"))

            """
    }

    /// The throughput of migrations next to that of bulk transfers.
    var svg: String {
        BarChart(
            title: "Throughput by channel: migration and bulk transfer",
            yLabel: "Mbit/s",
            series: ["migration", "bulk transfer"],
            groups: channels.map { figures in
                (
                    figures.channel.rawValue,
                    [figures.median(\.bytesPerSecond), figures.bulkMedian].map { $0.map { $0 * 8 / 1e6 } }
                )
            }
        ).svg
    }

    /// Writes channels.md, channels.json and channels.svg to a folder; creates the folder if it is missing.
    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, content) in [("md", markdown), ("json", try jsonText(self)), ("svg", svg)] {
            try content.write(toFile: "\(folder)/channels.\(name)", atomically: true, encoding: .utf8)
        }
    }
}
