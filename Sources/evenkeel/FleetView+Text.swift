// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Foundation

extension FleetView {
    /// Tables of hosts, VMs and the latest moves.
    func text(lastMoves: Int = 10) -> String {
        var sections = [hostTable.text, vmTable.text]
        if !moves.isEmpty { sections.append(moveTable(last: lastMoves).text) }
        if !closed.isEmpty { sections.append(closedTable.text) }
        if !ledger.isEmpty { sections.append(LedgerTally(ledger).text) }
        if !warnings.isEmpty { sections.append(warnings.map { "warning: \($0)".plainText() }.joined(separator: "\n")) }
        return sections.joined(separator: "\n\n")
    }

    private var hostTable: TextTable {
        TextTable(
            ["HOST", "STATE", "CPU", "MEMORY", "VMS", "AGE", "REASON"],
            hosts.map { host in
                [
                    host.name.rawValue,
                    host.verdict.rawValue,
                    host.sample?.cpu.map { Self.percent($0.share) } ?? "?",
                    host.sample?.memory.map { Self.percent($0.share) } ?? "?",
                    host.sample?.vms.map { String($0.filter { $0.state.isActive }.count) } ?? "?",
                    host.sample.map { Self.seconds((at - $0.at).inSeconds) } ?? "?",
                    host.reason,
                ]
            },
            empty: "No host has written a sample yet."
        )
    }

    private var vmTable: TextTable {
        TextTable(
            ["VM", "HOST", "STATE", "CPU CORES", "MEMORY"],
            hosts.flatMap { host in
                (host.sample?.vms ?? []).sorted { $0.name < $1.name }.map { vm in
                    [
                        vm.name,
                        host.name.rawValue,
                        vm.state.rawValue,
                        vm.cpuCores.map { Self.decimals($0) } ?? "?",
                        vm.memoryBytes.map { "\($0 >> 20) MiB" } ?? "?",
                    ]
                }
            },
            empty: "No VM is known."
        )
    }

    private func moveTable(last count: Int) -> TextTable {
        TextTable(
            ["ORDER", "VM", "FROM", "TO", "STAGE", "TOTAL", "DOWNTIME", "EVIDENCE", "REASON"],
            moves.suffix(count).map { move in
                [
                    move.order.id.rawValue,
                    move.order.vmName,
                    move.order.source.rawValue,
                    move.order.target.rawValue,
                    move.stage.rawValue,
                    move.outcome?.totalSeconds.map(Self.seconds) ?? "-",
                    move.outcome?.downtimeSeconds.map(Self.milliseconds) ?? "-",
                    move.evidence?.verdict.rawValue ?? "-",
                    move.failure?.text ?? move.order.reason,
                ]
            },
            empty: ""
        )
    }

    private var closedTable: TextTable {
        TextTable(
            ["CLOSED CHANNEL", "BETWEEN", "ORDER THAT LEAKED", "SINCE"],
            closed.map { closure in
                [
                    closure.channel.rawValue, "\(HostPair(closure.path))", closure.order.rawValue, closure.at.inWords,
                ]
            },
            empty: ""
        )
    }

    /// What is absurd is shown as more than a million: any member can write any figure.
    static func percent(_ share: Double) -> String { whole(share * 100, "%") }

    static func milliseconds(_ seconds: Double) -> String { whole(seconds * 1000, "ms") }

    private static func whole(_ value: Double, _ unit: String) -> String {
        value.isFinite && abs(value) <= 1e6 ? "\(Int(value.rounded())) \(unit)" : "over 1000000 \(unit)"
    }

    static func seconds(_ seconds: Double) -> String { "\(decimals(seconds, 1)) s" }

    /// A number with so many decimals: `0.15`.
    static func decimals(_ value: Double, _ places: Int = 2) -> String { String(format: "%.\(places)f", value) }
}

/// Columns of text, each as wide as its widest cell; the last may run on.
///
/// Cells may be in the words of any member: what is not printable is shown, not done, and what is too long is cut.
struct TextTable {
    private static let cellLimit = 120
    private static let lastCellLimit = 1000

    var header: [String]
    var rows: [[String]]
    var empty: String

    init(_ header: [String], _ rows: [[String]], empty: String) {
        self.header = header
        self.rows = rows
        self.empty = empty
    }

    var text: String {
        guard !rows.isEmpty else { return empty }
        let all =
            [header]
            + rows.map { row in
                row.enumerated().map { $1.plainText(limit: $0 == row.count - 1 ? Self.lastCellLimit : Self.cellLimit) }
            }
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            row.indices.map { column in
                column == row.count - 1
                    ? row[column]
                    : row[column] + String(repeating: " ", count: widths[column] - row[column].count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
