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
    /// The first colours of `LinePlot`.
    private static let colours = ["#0072B2", "#D55E00", "#009E73"]

    private var maximum: Double { max(groups.flatMap(\.values).compactMap(\.self).max() ?? 0, 1e-9) }

    private func y(_ value: Double) -> Double {
        Self.height - Self.bottom - value / maximum * (Self.height - Self.top - Self.bottom)
    }

    var svg: String {
        var parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
            font-family="sans-serif" font-size="12">
            """,
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            text("\(title) (\(yLabel))", Self.left, 20, anchor: "start"),
            "<path d=\"M\(Self.left) \(n(y(0)))H\(Self.width - Self.right)\" stroke=\"#222\"/>",
        ]
        for (index, name) in series.enumerated() {
            let x = Self.left + Double(index) * 140
            let colour = Self.colours[index % Self.colours.count]
            parts.append("<rect x=\"\(n(x))\" y=\"30\" width=\"12\" height=\"12\" fill=\"\(colour)\"/>")
            parts.append(text(name, x + 18, 41, anchor: "start"))
        }
        let room = (Self.width - Self.left - Self.right) / Double(max(groups.count, 1))
        for (index, group) in groups.enumerated() { parts += drawn(group, at: Self.left + Double(index) * room, room) }
        return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func drawn(_ group: (name: String, values: [Double?]), at x: Double, _ room: Double) -> [String] {
        let bar = room * 0.8 / Double(max(series.count, 1))
        var parts = [text(group.name, x + room / 2, Self.height - Self.bottom + 18, anchor: "middle")]
        for (index, value) in group.values.enumerated() {
            guard let value else { continue }
            let start = x + room * 0.1 + Double(index) * bar
            let colour = Self.colours[index % Self.colours.count]
            parts.append(
                """
                <rect x="\(n(start))" y="\(n(y(value)))" width="\(n(bar - 2))" height="\(n(y(0) - y(value)))" \
                fill="\(colour)"/>
                """
            )
            parts.append(text(FleetView.decimals(value, 0), start + bar / 2, y(value) - 4, anchor: "middle"))
        }
        return parts
    }

    private func text(_ content: String, _ x: Double, _ y: Double, anchor: String) -> String {
        "<text x=\"\(n(x))\" y=\"\(n(y))\" text-anchor=\"\(anchor)\" fill=\"#222\">\(LinePlot.escaped(content))</text>"
    }

    private func n(_ value: Double) -> String { FleetView.decimals(value, 1) }
}
