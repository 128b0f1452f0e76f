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

    private var mostMoves: Double { SVGCanvas.axisEnd(Double(rows.map(\.migrations).max() ?? 0)) }
    private var mostUnserved: Double { SVGCanvas.axisEnd(rows.map(\.unservedShare).max() ?? 0) }

    /// Square-root axes spread out policies with few moves as well as those with many.
    private func x(_ moves: Double) -> Double {
        Self.left + (moves / mostMoves).squareRoot() * (Self.width - Self.left - Self.right)
    }

    private func y(_ share: Double) -> Double {
        Self.height - Self.bottom - (share / mostUnserved).squareRoot() * (Self.height - Self.top - Self.bottom)
    }

    var svg: String {
        var canvas = SVGCanvas(width: Self.width, height: Self.height)
        canvas.text("Unserved CPU by number of moves (better: lower and further left)", Self.left, 22, size: 15)
        for step in 0...5 {
            let share = mostUnserved * Double(step * step) / 25
            let moves = mostMoves * Double(step * step) / 25
            canvas.line([(Self.left, y(share)), (Self.width - Self.right, y(share))], "#ddd")
            canvas.text("\(Units.decimals(share * 100, 2)) %", Self.left - 8, y(share) + 4, anchor: .end)
            canvas.text(Units.decimals(moves, 0), x(moves), Self.height - Self.bottom + 18, anchor: .middle)
        }
        let middle = (Self.left + Self.width - Self.right) / 2
        canvas.text("moves (both axes are square roots)", middle, Self.height - 8, anchor: .middle)
        for (number, row) in rows.enumerated() {
            let point = (x: x(Double(row.migrations)), y: y(row.unservedShare))
            let colour = SVGCanvas.colours[number == 0 ? 0 : 1]
            canvas.circle(point, radius: number == 0 ? 6 : 4, fill: colour)
            canvas.text(row.policy, point.x + 9, point.y + 4, colour: colour)
        }
        return canvas.svg
    }
}
