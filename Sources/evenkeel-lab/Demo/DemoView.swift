// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Lab

/// A live view of the fleet, redrawn twice a second.
struct DemoView {
    var view: FleetView
    var rates: [(vm: String, rate: Double?)]

    /// For a terminal: a bar for each host, the guests' work rates, and the running moves.
    var text: String {
        var lines = view.hosts.map { host in
            let share = host.sample?.cpu?.share
            let names = (host.sample?.vms ?? []).filter(\.state.isActive).map(\.name).sorted().joined(separator: " ")
            let figure = share.map(percent) ?? "?"
            return
                "\(host.name)  CPU \(bar(share ?? 0)) \(padded(figure, 5))  \(padded(host.verdict.rawValue, 10))  \(names)"
        }
        let work = rates.map { "\($0.vm) \($0.rate.map { Units.decimals($0, 1) } ?? "?")" }.joined(separator: "  ")
        lines.append("work, units/s of \(Units.decimals(GuestPlan.fullRate, 0)):  \(work)")
        for move in view.moves where !move.stage.hasEnded && move.stage != .submitted {
            lines.append(
                "\(move.order.vmName) \(move.order.source) → \(move.order.target)  \(ManualOrder.describe(move))"
            )
        }
        return lines.joined(separator: "\n")
    }

    /// The same as one line, for a pipe.
    var line: String {
        guard !view.hosts.isEmpty else { return "          no sample has reached the ledger yet" }
        let hosts = view.hosts.map { host in
            let share = host.sample?.cpu.map { percent($0.share) } ?? "?"
            return "\(host.name) \(share) CPU \(host.sample?.vms?.filter(\.state.isActive).count ?? 0) VMs"
        }
        let known = rates.compactMap(\.rate)
        let mean = known.isEmpty ? "?" : Units.decimals(known.reduce(0, +) / Double(known.count), 1)
        return
            "          \(hosts.joined(separator: ", ")); mean work \(mean) of \(Units.decimals(GuestPlan.fullRate, 0)) units/s"
    }

    private func bar(_ share: Double, width: Int = 24) -> String {
        let full = min(width, max(0, Int((share * Double(width)).rounded())))
        return String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
