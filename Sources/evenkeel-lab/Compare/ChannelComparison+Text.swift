// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Foundation
import Lab

extension ChannelComparison {
    private static let header = [
        "CHANNEL", "MOVES", "SECRET SEEN", "DOWNTIME", "AS A CLIENT FEELS IT", "TOTAL", "CPU S/GIB SOURCE",
        "CPU S/GIB TARGET", "THROUGHPUT", "BULK TRANSFER", "KNOCKS", "PINHOLE", "TO BEGIN",
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
                shown(figures.median(\.totalSeconds)) { "\(FleetView.decimals($0)) s" },
                shown(figures.median(\.sourceCPUPerGiB)) { FleetView.decimals($0) },
                shown(figures.median(\.targetCPUPerGiB)) { FleetView.decimals($0) },
                shown(figures.median(\.bytesPerSecond), Self.rate),
                shown(figures.bulkMedian, Self.rate),
                shown(figures.median(\.knockSeconds), milliseconds),
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
        return ([TextTable(Self.header, rows, empty: "Nothing was measured.").text, ""] + lines + besides)
            .joined(separator: "\n")
    }

    /// What is no goal: how long the proofs of the channels take, and what failed.
    private var besides: [String] {
        let proofs = proofs.map { "\($0.channel.rawValue) \(Self.milliseconds($0.seconds))" }.joined(separator: ", ")
        let failures = channels.flatMap { figures in
            figures.failures.map { "\(figures.channel.rawValue) failed: \($0)" }
        }
        return (proofs.isEmpty ? [] : ["the proof of the channel takes, beyond plain's beginning: \(proofs)"])
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

            \(machine). \(guest). Medians; the channels took turns, so that all had the same machine. CPU is that of the \
            whole host less what it takes at rest. Throughput: memory sent by the total time. Knocks: the probes of the \
            target's gates, side by side; pinhole: the opening of the gates; to begin: the proof of the channel. Bulk \
            transfer of sealed: zeros encrypted onto the shared storage, synchronised, and read and decrypted at the \
            target, all with openssl.

            \(table.joined(separator: "\n"))

            \(goals.joined(separator: "\n"))

            \(besides.map { "- \($0)" }.joined(separator: "\n"))

            """
    }

    /// Throughput of migrations beside that of bulk transfers.
    var svg: String {
        BarChart(
            title: "Throughput by channel: migration beside bulk transfer",
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

    /// Writes channels.md, channels.json and channels.svg to a folder, which is made if it is missing.
    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, content) in [("md", markdown), ("json", try jsonText(self)), ("svg", svg)] {
            try content.write(toFile: "\(folder)/channels.\(name)", atomically: true, encoding: .utf8)
        }
    }
}
