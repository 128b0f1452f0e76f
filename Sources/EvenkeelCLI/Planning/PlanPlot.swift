// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Every host as a point, CPU across and memory up, before and after a plan: a picture that works for three hosts and
/// for ten thousand.
struct PlanPlot {
    var hosts: [PlanView.HostChange]
    var policy: Policy

    private static let side = 480.0
    private static let margin = 60.0

    /// The plot as a document of its own, which opens in any browser.
    var svg: String {
        let size = Self.n(Self.side + 2 * Self.margin)
        let dense = hosts.count > 200
        var parts = grid
        // Names and lines from before to after would hide a large fleet.
        if !dense { parts += hosts.map(way) }
        parts += hosts.map { point($0.before, name: $0.name, style: "fill=\"none\" stroke=\"#d55e00\"", dense: dense) }
        parts += hosts.map {
            point($0.after, name: $0.name, style: "fill=\"#0072b2\" fill-opacity=\"0.8\"", dense: dense)
        }
        parts += [
            "<circle cx=\"70\" cy=\"22\" r=\"4\" fill=\"none\" stroke=\"#d55e00\"/>", text("before", 80, 26),
            "<circle cx=\"140\" cy=\"22\" r=\"4\" fill=\"#0072b2\"/>", text("after the plan", 150, 26),
            text("dashed: the thresholds", 260, 26),
        ]
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(size)" height="\(size)" viewBox="0 0 \(size) \(size)" \
            font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>
            \(parts.joined(separator: "\n"))
            </svg>

            """
    }

    /// The axes reach to the largest share, and to 1 at least.
    private var most: Double {
        let largest = hosts.flatMap { [$0.before.cpu, $0.before.memory, $0.after.cpu, $0.after.memory] }.max() ?? 1
        return max(1, (largest * 5).rounded(.up) / 5)
    }

    private func x(_ share: Double) -> Double { Self.margin + Self.side * share / most }
    private func y(_ share: Double) -> Double { Self.margin + Self.side * (1 - share / most) }

    private var grid: [String] {
        var parts: [String] = []
        for step in 0...5 {
            let share = most * Double(step) / 5
            let label = FleetView.percent(share)
            parts += [
                line(x(share), y(0), x(share), y(most), "#ddd"), line(x(0), y(share), x(most), y(share), "#ddd"),
                text(label, x(share), y(0) + 18, anchor: "middle"), text(label, x(0) - 6, y(share) + 4, anchor: "end"),
            ]
        }
        parts += [
            line(x(policy.cpu.upper), y(0), x(policy.cpu.upper), y(most), "#888", dash: "5 4"),
            line(x(0), y(policy.memory.upper), x(most), y(policy.memory.upper), "#888", dash: "5 4"),
            text("CPU", x(most / 2), y(0) + 40, anchor: "middle"), text("memory", 8, Self.margin - 12),
        ]
        return parts
    }

    private func way(_ host: PlanView.HostChange) -> String {
        line(x(host.before.cpu), y(host.before.memory), x(host.after.cpu), y(host.after.memory), "#bbb")
    }

    private func point(_ load: HostLoad, name: HostName, style: String, dense: Bool) -> String {
        """
        <circle cx="\(Self.n(x(load.cpu)))" cy="\(Self.n(y(load.memory)))" r="\(dense ? 2 : 4)" \(style)>\
        <title>\(LinePlot.escaped(name.rawValue)): CPU \(FleetView.percent(load.cpu)), \
        memory \(FleetView.percent(load.memory)), \(load.vms) VMs</title></circle>
        """
    }

    private func line(
        _ x1: Double,
        _ y1: Double,
        _ x2: Double,
        _ y2: Double,
        _ colour: String,
        dash: String = "none"
    ) -> String {
        """
        <path d="M\(Self.n(x1)) \(Self.n(y1))L\(Self.n(x2)) \(Self.n(y2))" stroke="\(colour)" \
        stroke-dasharray="\(dash)"/>
        """
    }

    private func text(_ content: String, _ x: Double, _ y: Double, anchor: String = "start") -> String {
        """
        <text x="\(Self.n(x))" y="\(Self.n(y))" font-size="12" text-anchor="\(anchor)" fill="#222">\
        \(LinePlot.escaped(content))</text>
        """
    }

    private static func n(_ value: Double) -> String { FleetView.decimals(value, 1) }
}
