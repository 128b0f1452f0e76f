// SPDX-License-Identifier: Apache-2.0

/// Lines over time, rendered as a self-contained SVG picture.
package struct LinePlot {
    package struct Line {
        package var name: String
        /// Seconds and values; a gap in the data is a new element.
        package var points: [(x: Double, y: Double)]

        package init(name: String, points: [(x: Double, y: Double)]) {
            self.name = name
            self.points = points
        }
    }

    package var title: String
    package var yLabel: String
    package var yMaximum: Double
    package var lines: [Line]
    /// Shaded spans of time with their names: the moves.
    package var spans: [(name: String, from: Double, to: Double)]
    /// A horizontal line, such as a threshold.
    package var level: (name: String, y: Double)?
    package var formatY: (Double) -> String
    package var xLabel: String
    /// Candidate distances of the x axis labels: the first that gives at most ten labels is used.
    package var xSteps: [Double]
    /// Room for the names of the lines.
    package var right: Double

    package init(
        title: String,
        yLabel: String,
        yMaximum: Double,
        lines: [Line],
        spans: [(name: String, from: Double, to: Double)] = [],
        level: (name: String, y: Double)? = nil,
        formatY: @escaping (Double) -> String = { FleetView.decimals($0, 0) },
        xLabel: String = "seconds since the start",
        xSteps: [Double] = [5.0, 10, 20, 30, 60, 120, 300, 600],
        right: Double = 90
    ) {
        self.title = title
        self.yLabel = yLabel
        self.yMaximum = yMaximum
        self.lines = lines
        self.spans = spans
        self.level = level
        self.formatY = formatY
        self.xLabel = xLabel
        self.xSteps = xSteps
        self.right = right
    }

    private static let width = 860.0
    private static let height = 320.0
    private static let left = 60.0
    private static let top = 40.0
    private static let bottom = 46.0
    /// Colours that are distinguishable with the common kinds of colour blindness (Okabe and Ito, 2008).
    private static let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

    private var xMaximum: Double { max(1, (lines.flatMap(\.points).map(\.x) + spans.map(\.to)).max() ?? 1) }

    private func x(_ value: Double) -> Double {
        Self.left + value / xMaximum * (Self.width - Self.left - right)
    }

    private func y(_ value: Double) -> Double {
        let share = min(max(value / yMaximum, 0), 1.02)
        return Self.height - Self.bottom - share * (Self.height - Self.top - Self.bottom)
    }

    package var svg: String {
        var parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
            font-family="sans-serif" font-size="12">
            """,
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            text(title, x: Self.left, y: 22, size: 15),
        ]
        parts += spans.map(shaded)
        parts += grid
        if let level {
            let height = y(level.y)
            parts.append(stroke("M\(n(Self.left)) \(n(height))H\(n(Self.width - right))", "#888", dash: "6 4"))
            parts.append(text(level.name, x: Self.left + 6, y: height - 5, colour: "#666"))
        }
        // The first is drawn last, above the others.
        for (index, line) in lines.enumerated().reversed() { parts += drawn(line, index) }
        return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    private func drawn(_ line: Line, _ index: Int) -> [String] {
        let colour = Self.colours[index % Self.colours.count]
        let dash = index < Self.colours.count ? nil : "5 3"
        let path = line.points.enumerated().map {
            "\($0.offset == 0 ? "M" : "L")\(n(x($0.element.x))) \(n(y($0.element.y)))"
        }
        .joined()
        let legendY = Self.top + 14 + Double(index) * 18
        let legendX = Self.width - right + 8
        return [
            stroke(path, colour, width: 2, dash: dash),
            stroke("M\(n(legendX)) \(n(legendY - 4))h18", colour, width: 3, dash: dash),
            text(line.name, x: legendX + 24, y: legendY),
        ]
    }

    private func shaded(_ span: (name: String, from: Double, to: Double)) -> String {
        let width = max(2, x(span.to) - x(span.from))
        return """
            <rect x="\(n(x(span.from)))" y="\(n(Self.top))" width="\(n(width))" \
            height="\(n(Self.height - Self.top - Self.bottom))" fill="#f0e442" fill-opacity="0.35">\
            <title>\(Self.escaped(span.name))</title></rect>
            """
    }

    private var grid: [String] {
        var parts: [String] = []
        for step in 0...5 {
            let value = yMaximum * Double(step) / 5
            parts.append(stroke("M\(n(Self.left)) \(n(y(value)))H\(n(Self.width - right))", "#ddd"))
            parts.append(text(formatY(value), x: Self.left - 8, y: y(value) + 4, anchor: "end"))
        }
        let step = xSteps.first { xMaximum / $0 <= 10 } ?? xMaximum / 10
        for tick in stride(from: 0, through: xMaximum, by: step) {
            parts.append(
                text(FleetView.decimals(tick, 0), x: x(tick), y: Self.height - Self.bottom + 18, anchor: "middle")
            )
        }
        let middle = (Self.left + Self.width - right) / 2
        parts.append(text(xLabel, x: middle, y: Self.height - 8, anchor: "middle"))
        parts.append(
            """
            <text x="14" y="\(n(Self.height / 2))" text-anchor="middle" \
            transform="rotate(-90 14 \(n(Self.height / 2)))">\(Self.escaped(yLabel))</text>
            """
        )
        return parts
    }

    private func stroke(_ path: String, _ colour: String, width: Double = 1, dash: String? = nil) -> String {
        let dashes = dash.map { " stroke-dasharray=\"\($0)\"" } ?? ""
        return "<path d=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"\(n(width))\"\(dashes)/>"
    }

    private func text(
        _ content: String,
        x: Double,
        y: Double,
        size: Int = 12,
        anchor: String = "start",
        colour: String = "#222"
    ) -> String {
        """
        <text x="\(n(x))" y="\(n(y))" font-size="\(size)" text-anchor="\(anchor)" fill="\(colour)">\(Self.escaped(content))</text>
        """
    }

    private func n(_ value: Double) -> String { FleetView.decimals(value, 1) }

    package static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
