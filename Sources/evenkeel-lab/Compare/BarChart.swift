// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI

/// A grouped bar chart, rendered as a self-contained SVG picture.
struct BarChart {
    var title: String
    var yLabel: String
    /// The name of each bar in a group.
    var series: [String]
    /// The groups, each with one value per series; a `nil` value has no bar.
    var groups: [(name: String, values: [Double?])]

    private static let (width, height) = (640.0, 320.0)
    private static let (left, right, top, bottom) = (60.0, 20.0, 60.0, 36.0)

    private var maximum: Double { max(groups.flatMap(\.values).compactMap(\.self).max() ?? 0, 1e-9) }

    private func y(_ value: Double) -> Double {
        Self.height - Self.bottom - value / maximum * (Self.height - Self.top - Self.bottom)
    }

    var svg: String {
        var canvas = SVGCanvas(width: Self.width, height: Self.height)
        canvas.text("\(title) (\(yLabel))", Self.left, 20)
        canvas.line([(Self.left, y(0)), (Self.width - Self.right, y(0))], "#222")
        for (index, name) in series.enumerated() {
            let x = Self.left + Double(index) * 140
            canvas.rectangle((x, 30), width: 12, height: 12, fill: Self.colour(index))
            canvas.text(name, x + 18, 41)
        }
        let room = (Self.width - Self.left - Self.right) / Double(max(groups.count, 1))
        for (index, group) in groups.enumerated() {
            draw(group, at: Self.left + Double(index) * room, room, on: &canvas)
        }
        return canvas.svg
    }

    private func draw(
        _ group: (name: String, values: [Double?]),
        at x: Double,
        _ room: Double,
        on canvas: inout SVGCanvas
    ) {
        canvas.text(group.name, x + room / 2, Self.height - Self.bottom + 18, anchor: .middle)
        let bar = room * 0.8 / Double(max(series.count, 1))
        for (index, value) in group.values.enumerated() {
            guard let value else { continue }
            let start = x + room * 0.1 + Double(index) * bar
            canvas.rectangle(
                (start, y(value)),
                width: bar - 2,
                height: y(0) - y(value),
                fill: Self.colour(index)
            )
            canvas.text(Units.decimals(value, 0), start + bar / 2, y(value) - 4, anchor: .middle)
        }
    }

    private static func colour(_ index: Int) -> String { SVGCanvas.colours[index % SVGCanvas.colours.count] }
}
