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
        formatY: @escaping (Double) -> String = { Units.decimals($0, 0) },
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
    private var xMaximum: Double { max(1, (lines.flatMap(\.points).map(\.x) + spans.map(\.to)).max() ?? 1) }

    private func x(_ value: Double) -> Double {
        Self.left + value / xMaximum * (Self.width - Self.left - right)
    }

    private func y(_ value: Double) -> Double {
        let share = min(max(value / yMaximum, 0), 1.02)
        return Self.height - Self.bottom - share * (Self.height - Self.top - Self.bottom)
    }

    package var svg: String {
        var canvas = SVGCanvas(width: Self.width, height: Self.height)
        canvas.text(title, Self.left, 22, size: 15)
        for span in spans {
            canvas.rectangle(
                (x(span.from), Self.top),
                width: max(2, x(span.to) - x(span.from)),
                height: Self.height - Self.top - Self.bottom,
                fill: "#f0e442",
                opacity: 0.35,
                title: span.name
            )
        }
        drawGrid(on: &canvas)
        if let level {
            canvas.line(across(level.y), "#888", dash: "6 4")
            canvas.text(level.name, Self.left + 6, y(level.y) - 5, colour: "#666")
        }
        // The first is drawn last, above the others.
        for (index, line) in lines.enumerated().reversed() { draw(line, index, on: &canvas) }
        return canvas.svg
    }

    private func draw(_ line: Line, _ index: Int, on canvas: inout SVGCanvas) {
        let colour = SVGCanvas.colours[index % SVGCanvas.colours.count]
        let dash = index < SVGCanvas.colours.count ? nil : "5 3"
        canvas.line(line.points.map { (x($0.x), y($0.y)) }, colour, width: 2, dash: dash)
        let legend = (x: Self.width - right + 8, y: Self.top + 14 + Double(index) * 18)
        canvas.line([(legend.x, legend.y - 4), (legend.x + 18, legend.y - 4)], colour, width: 3, dash: dash)
        canvas.text(line.name, legend.x + 24, legend.y)
    }

    private func drawGrid(on canvas: inout SVGCanvas) {
        for step in 0...5 {
            let value = yMaximum * Double(step) / 5
            canvas.line(across(value), "#ddd")
            canvas.text(formatY(value), Self.left - 8, y(value) + 4, anchor: .end)
        }
        let step = xSteps.first { xMaximum / $0 <= 10 } ?? xMaximum / 10
        for tick in stride(from: 0, through: xMaximum, by: step) {
            canvas.text(Units.decimals(tick, 0), x(tick), Self.height - Self.bottom + 18, anchor: .middle)
        }
        canvas.text(xLabel, (Self.left + Self.width - right) / 2, Self.height - 8, anchor: .middle)
        canvas.text(yLabel, 14, Self.height / 2, anchor: .middle, isUpward: true)
    }

    /// A horizontal line at this value.
    private func across(_ value: Double) -> [SVGCanvas.Point] {
        [(Self.left, y(value)), (Self.width - right, y(value))]
    }
}
