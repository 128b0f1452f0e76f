// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

extension PlanView {
    /// The parts of a long plan to show.
    struct Extent {
        var allHosts = false
        var allMoves = false
        /// Number of hosts above which only `hostsChosen` are shown.
        static let hostsShown = 40
        static let hostsChosen = 20
        static let movesShown = 60
    }

    func text(_ extent: Extent = Extent()) -> String {
        var parts = [hostTable(all: extent.allHosts), efficacy]
        parts.append(
            moves.isEmpty
                ? "No moves: \(emptyBecause?.description ?? "none is needed")." : moveTable(all: extent.allMoves)
        )
        if !refusals.isEmpty { parts.append(refusalTable(all: extent.allMoves)) }
        if !inactive.isEmpty { parts.append(inactiveText(all: extent.allMoves)) }
        if let shortage {
            let host = "\(Units.number(shortage.hostCores)) cores and \(Units.gibibytes(shortage.hostMemoryBytes))"
            let hosts = Units.count(shortage.hosts, "more host")
            parts.append("Shortage: \(shortage.reason); \(hosts) with \(host) would suffice.")
        }
        if wasCutShort {
            parts.append(
                "The search reached its time budget; a larger --time-budget may find a better plan.\(Self.pace)"
            )
        }
        if !warnings.isEmpty { parts.append(warnings.map { "warning: \($0)" }.joined(separator: "\n")) }
        return parts.joined(separator: "\n\n")
    }

    #if DEBUG
    private static let pace = " (A debug build searches many times slower than a release build.)"
    #else
    private static let pace = ""
    #endif

    // MARK: hosts

    /// Returns all hosts; of a large fleet, those with the largest change and the highest load.
    func shownHosts(all: Bool) -> [HostChange] {
        guard !all, hosts.count > Extent.hostsShown else { return hosts }
        let byChange = hosts.indices.sorted { (-hosts[$0].change, $0) < (-hosts[$1].change, $1) }
        let byLoad = hosts.indices.sorted { (-hosts[$0].load, $0) < (-hosts[$1].load, $1) }
        var chosen = Set(byChange.prefix(Extent.hostsChosen / 2).filter { hosts[$0].change > 0 })
        for host in byLoad where chosen.count < Extent.hostsChosen { chosen.insert(host) }
        return chosen.sorted().map { hosts[$0] }
    }

    private func hostTable(all: Bool) -> String {
        let shown = shownHosts(all: all)
        let table = TextTable(
            ["HOST", "STATE", "CPU", "MEMORY", "NETWORK", "DISK", "VCPU/CPU", "VMS", "CPU (# AFTER, | BEFORE)"],
            shown.map { host in
                [
                    host.name.rawValue,
                    host.mode == .active ? host.verdict?.rawValue ?? "active" : host.mode.rawValue,
                    Self.change(host.before.cpu, host.after.cpu),
                    Self.change(host.before.memory, host.after.memory),
                    Self.change(host.before.network, host.after.network),
                    Self.change(host.before.disk, host.after.disk),
                    Self.change(host.before.vcpusPerCPU, host.after.vcpusPerCPU, Units.number),
                    Self.change(Double(host.before.vms), Double(host.after.vms), { String(Int($0)) }),
                    Self.bar(before: host.before.cpu, after: host.after.cpu),
                ]
            },
            empty: "No hosts."
        )
        let left = hosts.count - shown.count
        guard left > 0 else { return table.text }
        return table.text + "\n\(left) of \(hosts.count) hosts not shown (least changed and not among the fullest); "
            + "--all-hosts shows all."
    }

    private static func change(
        _ before: Double?,
        _ after: Double?,
        _ text: (Double) -> String = percent
    ) -> String {
        guard let before, let after else { return "-" }
        let (old, new) = (text(before), text(after))
        return old == new ? new : "\(old) -> \(new)"
    }

    static func bar(before: Double, after: Double, width: Int = 25) -> String {
        func cells(_ share: Double) -> Int { min(max(Int((share * Double(width)).rounded()), 0), width) }
        var line = [Character](repeating: "#", count: cells(after))
        line += [Character](repeating: ".", count: width - line.count)
        line[min(cells(before), width - 1)] = "|"
        return String(line)
    }

    // MARK: effect

    private var efficacy: String {
        func spread(_ resource: KeyPath<FleetScore.Spread, Double>) -> [String] {
            [Units.number(before.spread[keyPath: resource]), Units.number(after.spread[keyPath: resource])]
        }
        var rows: [[String]] = [
            ["spread of CPU"] + spread(\.cpu),
            ["spread of memory"] + spread(\.memory),
            ["spread of network"] + spread(\.network),
            ["spread of disk"] + spread(\.disk),
            ["spread of VCPU/CPU"] + spread(\.vcpus),
            ["imbalance (hbal's score)", Units.number(before.imbalance), Units.number(after.imbalance)],
            ["overloaded hosts", String(before.contendedHosts), String(after.contendedHosts)],
            ["cores above the limit", Units.number(before.coresLacking), Units.number(after.coresLacking)],
            ["memory above the limit", Units.gibibytes(before.bytesLacking), Units.gibibytes(after.bytesLacking)],
        ]
        if before.violations > 0 || after.violations > 0 {
            rows.append(["VMs violating a constraint", String(before.violations), String(after.violations)])
        }
        let table = TextTable(["", "BEFORE", "AFTER"], rows, empty: "")
        return table.text
            + """
            \n\n\(summary)strategy \(strategy.rawValue), aggressiveness \(aggressiveness)
            """
    }

    private var summary: String {
        guard !moves.isEmpty else { return "" }
        var text =
            "\(Units.count(totals.moves, "move")) of \(Units.gibibytes(totals.memoryBytes)) in "
            + "\(Units.count(totals.waves, "wave")), about \(Units.duration(totals.seconds)) at \(bandwidth)"
        if isLimited { text += "; limited by policy.max_moves (--max-moves)" }
        if !emptied.isEmpty {
            text += "; empties \(Units.count(emptied.count, "host")): "
            text += emptied.prefix(Extent.hostsChosen).map(\.rawValue).joined(separator: ", ")
            if emptied.count > Extent.hostsChosen { text += ", …" }
        }
        return text + "; "
    }

    // MARK: moves

    private func moveTable(all: Bool) -> String {
        let shown = all ? moves[...] : moves.prefix(Extent.movesShown)
        let table = TextTable(
            ["WAVE", "VM", "FROM", "TO", "MEMORY", "TIME", "PURPOSE", "REASON"],
            shown.map { move in
                [
                    String(move.wave + 1), move.vmName, move.source.rawValue, move.target.rawValue,
                    Units.gibibytes(move.memoryBytes), Units.duration(move.seconds), move.purpose.rawValue,
                    // The other columns, --json and explain have the rest.
                    "\(move.reason.cause)",
                ]
            },
            empty: ""
        )
        guard shown.count < moves.count else { return table.text }
        return table.text + "\n\(moves.count - shown.count) more moves; --all-moves shows all."
    }

    private func refusalTable(all: Bool) -> String {
        // The VMs of a host mostly stay for the same reason, so print it once for all of them.
        var groups: [(host: HostName, reason: String, vms: [String])] = []
        for refusal in refusals {
            let vm = refusal.vmName.map { [$0] } ?? []
            let reason = "\(refusal.reason)"
            if let index = groups.lastIndex(where: { $0.host == refusal.host && $0.reason == reason }) {
                groups[index].vms += vm
            } else {
                groups.append((refusal.host, reason, vm))
            }
        }
        let shown = all ? groups[...] : groups.prefix(Extent.movesShown)
        let lines = shown.map { group in
            let vms = group.vms.count <= 5 ? group.vms.joined(separator: ", ") : "\(group.vms.count) VMs"
            return "  \(group.host)\(vms.isEmpty ? "" : ", \(vms)"): \(group.reason)"
        }
        let rest = groups.count - shown.count
        return
            (["Not resolved by this plan:"] + lines
            + (rest > 0 ? ["  and \(rest) more; --all-moves shows all."] : []))
            .joined(separator: "\n")
    }

    private func inactiveText(all: Bool) -> String {
        let lines = inactive.map { entry in
            let shown = entry.vms.prefix(all ? entry.vms.count : Extent.movesShown).map {
                "\($0)".plainText(limit: 120)
            }
            let rest = entry.vms.count - shown.count
            return "  \(entry.host): \(shown.joined(separator: ", "))\(rest > 0 ? " and \(rest) more" : "")"
        }
        return (["Off, and not moved from hosts that are to be emptied:"] + lines).joined(separator: "\n")
    }
}
