// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

extension PlanView {
    /// How much of a long plan to show.
    struct Extent {
        var allHosts = false
        var allMoves = false
        /// With more hosts, only `hostsChosen` are shown.
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
        if let shortage {
            let host = "\(Self.number(shortage.hostCores)) cores and \(Self.gibibytes(shortage.hostMemoryBytes))"
            let hosts = Self.count(shortage.hosts, "more host")
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

    /// Returns all hosts, or, of a large fleet, those that change most and the fullest.
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
                    Self.change(host.before.vcpusPerCPU, host.after.vcpusPerCPU, Self.number),
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

    private static func change(_ before: Double?, _ after: Double?, _ text: (Double) -> String = short) -> String {
        guard let before, let after else { return "-" }
        let (old, new) = (text(before), text(after))
        return old == new ? new : "\(old) -> \(new)"
    }

    private static func short(_ share: Double) -> String { FleetView.percent(share) }

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
            [Self.number(before.spread[keyPath: resource]), Self.number(after.spread[keyPath: resource])]
        }
        var rows: [[String]] = [
            ["spread of CPU"] + spread(\.cpu),
            ["spread of memory"] + spread(\.memory),
            ["spread of network"] + spread(\.network),
            ["spread of disk"] + spread(\.disk),
            ["spread of VCPU/CPU"] + spread(\.vcpus),
            ["imbalance (hbal's score)", Self.number(before.imbalance), Self.number(after.imbalance)],
            ["overloaded hosts", String(before.contendedHosts), String(after.contendedHosts)],
            ["cores above the limit", Self.number(before.coresLacking), Self.number(after.coresLacking)],
            ["memory above the limit", Self.gibibytes(before.bytesLacking), Self.gibibytes(after.bytesLacking)],
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
            "\(Self.count(totals.moves, "move")) of \(Self.gibibytes(totals.memoryBytes)) in "
            + "\(Self.count(totals.waves, "wave")), about \(Self.time(totals.seconds)) at \(bandwidth)"
        if isLimited { text += "; limited by policy.max_moves (--max-moves)" }
        if !emptied.isEmpty {
            text += "; empties \(Self.count(emptied.count, "host")): "
            text += emptied.prefix(Extent.hostsChosen).map(\.rawValue).joined(separator: ", ")
            if emptied.count > Extent.hostsChosen { text += ", …" }
        }
        return text + "; "
    }

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    // MARK: moves

    private func moveTable(all: Bool) -> String {
        let shown = all ? moves[...] : moves.prefix(Extent.movesShown)
        let table = TextTable(
            ["WAVE", "VM", "FROM", "TO", "MEMORY", "TIME", "PURPOSE", "REASON"],
            shown.map { move in
                [
                    String(move.wave + 1), move.vmName, move.source.rawValue, move.target.rawValue,
                    Self.gibibytes(move.memoryBytes), Self.time(move.seconds), move.purpose.rawValue,
                    // The rest is in the columns before, and in --json and explain.
                    "\(move.reason.cause)",
                ]
            },
            empty: ""
        )
        guard shown.count < moves.count else { return table.text }
        return table.text + "\n\(moves.count - shown.count) more moves; --all-moves shows all."
    }

    private func refusalTable(all: Bool) -> String {
        // The VMs of a host mostly stay for the same reason: print it once for all of them.
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

    // MARK: figures

    /// Three decimals and no zeros behind: `0.093`, `48`.
    static func number(_ value: Double) -> String {
        var text = FleetView.decimals(value, 3)
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text == "-0" ? "0" : text
    }

    static func gibibytes(_ bytes: UInt64) -> String { gibibytes(Double(bytes)) }

    static func gibibytes(_ bytes: Double) -> String {
        let gibibytes = bytes / 0x1p30
        return gibibytes >= 100 || gibibytes == gibibytes.rounded()
            ? "\(Int(gibibytes.rounded())) GiB" : "\(FleetView.decimals(gibibytes, 1)) GiB"
    }

    static func time(_ seconds: Double) -> String {
        seconds < 120 ? FleetView.seconds(seconds) : "\(FleetView.decimals(seconds / 60, 1)) min"
    }
}
