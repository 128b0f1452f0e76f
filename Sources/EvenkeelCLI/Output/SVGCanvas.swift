// SPDX-License-Identifier: Apache-2.0

/// A self-contained SVG picture on a white background; a shape covers the earlier ones.
package struct SVGCanvas {
    package typealias Point = (x: Double, y: Double)

    package enum Anchor: String {
        case start, middle, end
    }

    /// Colours that are distinguishable with the common kinds of colour blindness (Okabe and Ito, 2008).
    package static let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

    private var parts: [String]

    /// Creates an empty picture, which is scaled to the page unless it has a fixed size.
    package init(width: Double, height: Double, isFixedSize: Bool = false) {
        let size = isFixedSize ? "width=\"\(Int(width))\" height=\"\(Int(height))\" " : ""
        parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" \(size)viewBox="0 0 \(Int(width)) \(Int(height))" \
            font-family="sans-serif" font-size="12">
            """,
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
        ]
    }

    /// The document.
    package var svg: String { (parts + ["</svg>"]).joined(separator: "\n") + "\n" }

    package mutating func text(
        _ content: String,
        _ x: Double,
        _ y: Double,
        size: Int = 12,
        anchor: Anchor = .start,
        colour: String = "#222",
        isUpward: Bool = false
    ) {
        let rotation = isUpward ? " transform=\"rotate(-90 \(n(x)) \(n(y)))\"" : ""
        parts.append(
            """
            <text x="\(n(x))" y="\(n(y))" font-size="\(size)" text-anchor="\(anchor.rawValue)" fill="\(colour)"\
            \(rotation)>\(content.escapedForMarkup)</text>
            """
        )
    }

    /// Draws a line through the points.
    package mutating func line(_ points: [Point], _ colour: String, width: Double = 1, dash: String? = nil) {
        let path = points.enumerated().map { "\($0 == 0 ? "M" : "L")\(n($1.x)) \(n($1.y))" }.joined()
        let dashes = dash.map { " stroke-dasharray=\"\($0)\"" } ?? ""
        parts.append("<path d=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"\(n(width))\"\(dashes)/>")
    }

    /// Draws a rectangle; a browser shows the title as a tool tip.
    package mutating func rectangle(
        _ corner: Point,
        width: Double,
        height: Double,
        fill: String,
        opacity: Double = 1,
        title: String? = nil
    ) {
        let place = "x=\"\(n(corner.x))\" y=\"\(n(corner.y))\" width=\"\(n(width))\" height=\"\(n(height))\""
        add("rect", "\(place) \(Self.paint(fill, opacity))", title)
    }

    /// Draws a disc, or a ring if it has no fill; a browser shows the title as a tool tip.
    package mutating func circle(
        _ centre: Point,
        radius: Int,
        fill: String = "none",
        opacity: Double = 1,
        stroke: String = "none",
        title: String? = nil
    ) {
        let place = "cx=\"\(n(centre.x))\" cy=\"\(n(centre.y))\" r=\"\(radius)\""
        add("circle", "\(place) \(Self.paint(fill, opacity)) stroke=\"\(stroke)\"", title)
    }

    private mutating func add(_ element: String, _ attributes: String, _ title: String?) {
        let tip = title.map { "<title>\($0.escapedForMarkup)</title>" }
        parts.append("<\(element) \(attributes)" + (tip.map { ">\($0)</\(element)>" } ?? "/>"))
    }

    private static func paint(_ fill: String, _ opacity: Double) -> String {
        "fill=\"\(fill)\"" + (opacity < 1 ? " fill-opacity=\"\(opacity)\"" : "")
    }

    private func n(_ value: Double) -> String { Units.decimals(value, 1) }

    /// Returns the end of an axis that shows this value: the next of 1, 2, 5, 10, 20 and so on.
    static func axisEnd(_ largest: Double) -> Double {
        guard largest > 0 else { return 1 }
        var step = 1e-6
        while true {
            for factor in [1.0, 2, 5] where step * factor >= largest { return step * factor }
            step *= 10
        }
    }
}
