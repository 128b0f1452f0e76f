// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Foundation
import Lab

extension DemoReport {
    /// Writes report.md, report.json and the plots to a folder; creates the folder if it is missing.
    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let plots = [("Load of the hosts", "load.svg", loadPlot.svg), ("Work of the guests", "work.svg", workPlot.svg)]
        for (_, file, svg) in plots { try svg.write(toFile: "\(folder)/\(file)", atomically: true, encoding: .utf8) }
        try jsonText(self).write(toFile: "\(folder)/report.json", atomically: true, encoding: .utf8)
        try markdown(plots: plots.map { ($0.0, $0.1) })
            .write(toFile: "\(folder)/report.md", atomically: true, encoding: .utf8)
    }

    /// The summary for the screen: the moves, one packet of each capture, and the verdict.
    var screenText: String {
        var view: [String] = []
        let table = TextTable(
            ["VM", "FROM", "TO", "CHANNEL", "STAGE", "TOTAL", "DOWNTIME", "SENT", "ON PATH", "EVIDENCE"],
            (moves + [plainMove].compactMap(\.self)).map { move in
                [
                    move.order.vmName, move.order.source.rawValue, move.order.target.rawValue,
                    move.order.channel.rawValue, move.stage.rawValue,
                    move.outcome?.totalSeconds.map(Units.seconds) ?? "-",
                    move.outcome?.downtimeSeconds.map(Units.milliseconds) ?? "-",
                    move.outcome?.bytesTransferred.map { "\($0)" } ?? "-",
                    move.evidence?.bytesOnPath.map { "\($0)" } ?? "-",
                    move.evidence?.verdict.rawValue ?? "-",
                ]
            },
            empty: "No moves."
        )
        view.append(table.text)
        for wire in wires {
            view.append("\(wire.title): secret found \(wire.markers) times in \(wire.packets) packets.")
            if let packet = wire.packet { view.append("\(packet.summary)\n\(packet.dump)") }
        }
        return (view + [summary]).joined(separator: "\n\n")
    }

    private func seconds(_ instant: Instant) -> Double { (instant - startedAt).inSeconds }

    private var spans: [(name: String, from: Double, to: Double)] {
        (moves + [plainMove].compactMap(\.self)).map { move in
            (
                "\(move.order.vmName) from \(move.order.source) to \(move.order.target): \(move.stage)",
                seconds(move.outcome?.startedAt ?? move.order.issuedAt), seconds(move.changedAt)
            )
        }
    }

    private var loadPlot: LinePlot {
        LinePlot(
            title: "CPU load of the hosts (moves shaded)",
            yLabel: "share of the host's capacity",
            yMaximum: 1,
            lines: hosts.map { host in
                .init(
                    name: host.host.rawValue,
                    points: host.points.compactMap { point in point.cpu.map { (seconds(point.at), $0) } }
                )
            },
            spans: spans,
            level: policy["policy.cpu.upper"].flatMap { Double($0.dropLast()) }.map { ("threshold", $0 / 100) },
            formatY: percent
        )
    }

    private var workPlot: LinePlot {
        LinePlot(
            title: "Work of the guests (moves shaded)",
            yLabel: "units of work per second",
            yMaximum: GuestPlan.fullRate,
            lines: rates.map { rate in
                .init(name: rate.vm, points: rate.points.map { (seconds($0.at), $0.rate) })
            },
            spans: spans
        )
    }
}
