// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A comparison of policies as one HTML file that opens without a network.
struct SimulationReport {
    var outcome: SimulationOutcome

    var html: String {
        let plots = [
            plot("Unserved CPU", "share of requested CPU", { $0.unservedShare }, Self.percent),
            plot("Hosts short of CPU", "hosts", { Double($0.overloadedHosts) }, { Units.decimals($0, 0) }),
            plot("Spread of CPU across the hosts", "standard deviation", { $0.spread }, Self.percent),
            plot("Moves", "moves", { Double($0.migrations) }, { Units.decimals($0, 0) }, isSmoothed: false),
        ]
        let figures = [TradeOffPlot(rows: outcome.rows).svg] + plots.map(\.svg)
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>Evenkeel: simulation</title>
            <meta name="viewport" content="width=device-width">
            <style>
            body { font: 15px/1.5 sans-serif; color: #222; margin: 2em auto; max-width: 75em; padding: 0 1em }
            table { border-collapse: collapse; font-variant-numeric: tabular-nums }
            th, td { padding: .3em .7em; text-align: right; border-bottom: 1px solid #ddd }
            td { white-space: nowrap } th:first-child, td:first-child { text-align: left }
            th { font-weight: 600 } tr.own { background: #eef6fb; font-weight: 600 }
            figure { margin: 1.5em 0 } svg { width: 100%; height: auto } .wide { overflow-x: auto } dt { font-weight: 600 }
            </style></head><body>
            <h1>Policies on a simulated fleet</h1>
            <p>\(outcome.scene.text.escapedForMarkup).</p>
            <div class="wide"><table><thead><tr>\(Self.row(SimulationOutcome.columns.map(Self.title), cell: "th"))</tr></thead>
            <tbody>\(outcome.rows.enumerated().map(tableRow).joined(separator: "\n"))</tbody></table></div>
            <p>\(SimulationOutcome.legend.escapedForMarkup)</p>
            \(outcome.comparison.map { "<p><b>\($0.escapedForMarkup)</b></p>" } ?? "")
            \(figures.map { "<figure>\($0)</figure>" }.joined(separator: "\n"))
            <h2>Policies</h2>
            <dl>\(outcome.rows.map(Self.definition).joined(separator: "\n"))</dl>
            </body></html>

            """
    }

    private func tableRow(_ number: Int, _ row: SimulationOutcome.Row) -> String {
        "<tr\(number == 0 ? " class=\"own\"" : "")>\(Self.row(SimulationOutcome.cells(row), cell: "td"))</tr>"
    }

    private static func row(_ cells: [String], cell: String) -> String {
        cells.map { "<\(cell)>\($0.escapedForMarkup)</\(cell)>" }.joined()
    }

    private static func title(_ column: String) -> String {
        column == "GIB MOVED" ? "GiB moved" : column.prefix(1) + column.dropFirst().lowercased()
    }

    private static func definition(_ row: SimulationOutcome.Row) -> String {
        "<dt>\(row.policy.escapedForMarkup)</dt><dd>\(row.summary.escapedForMarkup)</dd>"
    }

    private static func percent(_ share: Double) -> String {
        "\(Units.decimals(share * 100, share < 0.1 ? 1 : 0)) %"
    }

    private func plot(
        _ title: String,
        _ yLabel: String,
        _ value: (SimulationOutcome.Point) -> Double,
        _ format: @escaping (Double) -> String,
        isSmoothed: Bool = true
    ) -> LinePlot {
        let lines = outcome.rows.map { row in
            LinePlot.Line(
                name: row.policy,
                points: Self.thinned(row.points.map { ($0.hours, value($0)) }, isSmoothed: isSmoothed)
            )
        }
        let largest = lines.flatMap(\.points).map(\.y).max() ?? 0
        return LinePlot(
            title: title,
            yLabel: yLabel,
            yMaximum: SVGCanvas.axisEnd(largest),
            lines: lines,
            formatY: format,
            xLabel: "hours",
            xSteps: [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 168],
            right: 140
        )
    }

    /// Returns at most `most` points: means of neighbouring points, or the last of them for a running sum.
    private static func thinned(_ points: [(x: Double, y: Double)], isSmoothed: Bool) -> [(x: Double, y: Double)] {
        let size = (points.count + most - 1) / most
        guard size > 1 else { return points }
        return stride(from: 0, to: points.count, by: size).compactMap { start in
            let part = points[start..<min(start + size, points.count)]
            guard let last = part.last else { return nil }
            return isSmoothed ? (last.x, part.reduce(0) { $0 + $1.y } / Double(part.count)) : last
        }
    }

    private static let most = 144
}
