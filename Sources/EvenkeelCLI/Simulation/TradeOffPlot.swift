// SPDX-License-Identifier: Apache-2.0

/// A plot of every policy: number of moves, and unserved CPU.
struct TradeOffPlot {
    var rows: [SimulationOutcome.Row]

    private static let width = 860.0
    private static let height = 340.0
    private static let left = 70.0
    private static let right = 140.0
    private static let top = 40.0
    private static let bottom = 50.0

    private var mostMoves: Double { SimulationReport.round(Double(rows.map(\.migrations).max() ?? 0)) }
    private var mostUnserved: Double { SimulationReport.round(rows.map(\.unservedShare).max() ?? 0) }

    /// Square roots, so that policies with few moves and those with many are both spread out.
    private func x(_ moves: Double) -> Double {
        Self.left + (moves / mostMoves).squareRoot() * (Self.width - Self.left - Self.right)
    }

    private func y(_ share: Double) -> Double {
        Self.height - Self.bottom - (share / mostUnserved).squareRoot() * (Self.height - Self.top - Self.bottom)
    }

    var svg: String {
        var parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
            font-family="sans-serif" font-size="12">
            """,
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            text("Unserved CPU by number of moves (better: lower and further left)", Self.left, 22, size: 15),
        ]
        for step in 0...5 {
            let share = mostUnserved * Double(step * step) / 25
            let moves = mostMoves * Double(step * step) / 25
            parts += [
                line(Self.left, y(share), Self.width - Self.right, y(share)),
                text("\(FleetView.decimals(share * 100, 2)) %", Self.left - 8, y(share) + 4, anchor: "end"),
                text(FleetView.decimals(moves, 0), x(moves), Self.height - Self.bottom + 18, anchor: "middle"),
            ]
        }
        parts.append(
            text(
                "moves (both axes are square roots)",
                (Self.left + Self.width - Self.right) / 2,
                Self.height - 8,
                anchor: "middle"
            )
        )
        parts += rows.enumerated().map(point)
        return (parts + ["</svg>"]).joined(separator: "\n")
    }

    private func point(_ number: Int, _ row: SimulationOutcome.Row) -> String {
        let (x, y) = (x(Double(row.migrations)), y(row.unservedShare))
        let colour = number == 0 ? "#0072b2" : "#d55e00"
        return "<circle cx=\"\(n(x))\" cy=\"\(n(y))\" r=\"\(number == 0 ? 6 : 4)\" fill=\"\(colour)\"/>"
            + text(row.policy, x + 9, y + 4, colour: colour)
    }

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        "<path d=\"M\(n(x1)) \(n(y1))L\(n(x2)) \(n(y2))\" stroke=\"#ddd\"/>"
    }

    private func text(
        _ content: String,
        _ x: Double,
        _ y: Double,
        size: Int = 12,
        anchor: String = "start",
        colour: String = "#222"
    ) -> String {
        """
        <text x="\(n(x))" y="\(n(y))" font-size="\(size)" text-anchor="\(anchor)" fill="\(colour)">\(LinePlot.escaped(content))</text>
        """
    }

    private func n(_ value: Double) -> String { FleetView.decimals(value, 1) }
}
