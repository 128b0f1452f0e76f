// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// A plot of every host before and after a plan, with CPU on the x axis and memory on the y axis.
///
/// It suits three hosts as well as ten thousand.
struct PlanPlot {
    var hosts: [PlanView.HostChange]
    var policy: Policy

    private static let side = 480.0
    private static let margin = 60.0

    private static let before = SVGCanvas.colours[1]
    private static let after = SVGCanvas.colours[0]

    /// The plot as a self-contained document for any browser.
    var svg: String {
        let size = Self.side + 2 * Self.margin
        var canvas = SVGCanvas(width: size, height: size, isFixedSize: true)
        drawGrid(on: &canvas)
        // Names and connecting lines would hide a large fleet.
        let dense = hosts.count > 200
        if !dense { for host in hosts { canvas.line([point(host.before), point(host.after)], "#bbb") } }
        let radius = dense ? 2 : 4
        for host in hosts {
            canvas.circle(point(host.before), radius: radius, stroke: Self.before, title: title(host.name, host.before))
        }
        for host in hosts {
            canvas.circle(
                point(host.after),
                radius: radius,
                fill: Self.after,
                opacity: 0.8,
                title: title(host.name, host.after)
            )
        }
        canvas.circle((70, 22), radius: 4, stroke: Self.before)
        canvas.text("before", 80, 26)
        canvas.circle((140, 22), radius: 4, fill: Self.after)
        canvas.text("after the plan", 150, 26)
        canvas.text("dashed: the thresholds", 260, 26)
        return canvas.svg
    }

    /// The upper end of the axes: the largest share, at least 1.
    private var most: Double {
        let largest = hosts.flatMap { [$0.before.cpu, $0.before.memory, $0.after.cpu, $0.after.memory] }.max() ?? 1
        return max(1, (largest * 5).rounded(.up) / 5)
    }

    private func x(_ share: Double) -> Double { Self.margin + Self.side * share / most }
    private func y(_ share: Double) -> Double { Self.margin + Self.side * (1 - share / most) }

    private func point(_ load: HostLoad) -> SVGCanvas.Point { (x(load.cpu), y(load.memory)) }

    private func title(_ name: HostName, _ load: HostLoad) -> String {
        "\(name): CPU \(percent(load.cpu)), memory \(percent(load.memory)), \(load.vms) VMs"
    }

    private func drawGrid(on canvas: inout SVGCanvas) {
        for step in 0...5 {
            let share = most * Double(step) / 5
            canvas.line([(x(share), y(0)), (x(share), y(most))], "#ddd")
            canvas.line([(x(0), y(share)), (x(most), y(share))], "#ddd")
            canvas.text(percent(share), x(share), y(0) + 18, anchor: .middle)
            canvas.text(percent(share), x(0) - 6, y(share) + 4, anchor: .end)
        }
        let (cpu, memory) = (x(policy.cpu.upper), y(policy.memory.upper))
        canvas.line([(cpu, y(0)), (cpu, y(most))], "#888", dash: "5 4")
        canvas.line([(x(0), memory), (x(most), memory)], "#888", dash: "5 4")
        canvas.text("CPU", x(most / 2), y(0) + 40, anchor: .middle)
        canvas.text("memory", 8, Self.margin - 12)
    }
}
