// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet

extension FleetView {
    /// Returns tables of hosts, VMs and the latest moves.
    func text(lastMoves: Int = 10) -> String {
        var sections = [hostTable.text, vmTable.text]
        if !immovableVMs.isEmpty { sections.append(immovableTable.text) }
        if let maintenance { sections.append(maintenance) }
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
                    host.sample?.cpu.map { percent($0.share) } ?? "?",
                    host.sample?.memory.map { percent($0.share) } ?? "?",
                    host.sample?.vms.map { String($0.filter { $0.state.isActive }.count) } ?? "?",
                    host.sample.map { Units.seconds((at - $0.at).inSeconds) } ?? "?",
                    host.reason,
                ]
            },
            empty: "No host has reported yet. Is evenkeel-agent running on the hosts?"
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
                        vm.cpuCores.map { Units.decimals($0) } ?? "?",
                        vm.memoryBytes.map { "\($0 >> 20) MiB" } ?? "?",
                    ]
                }
            },
            empty: "No VMs."
        )
    }

    /// The VMs that cannot move, with their hosts.
    private var immovableVMs: [(vm: VMSample, host: HostName, reasons: CannotMove)] {
        hosts.flatMap { host in
            (host.sample?.vms ?? []).sorted { $0.name < $1.name }.compactMap { vm in
                vm.cannotMove.map { (vm, host.name, $0) }
            }
        }
    }

    private var immovableTable: TextTable {
        TextTable(
            ["CANNOT MOVE", "HOST", "REASON"],
            immovableVMs.map { [$0.vm.name, $0.host.rawValue, $0.reasons.text] },
            empty: ""
        )
    }

    /// The hosts in maintenance, and the VMs on them; `nil`: none.
    private var maintenance: String? {
        let lines = hosts.filter(\.isInMaintenance).map { host in
            let active = (host.sample?.vms ?? []).count { $0.state.isActive }
            var line = "\(host.name): in maintenance, \(Units.count(active, "active VM")) to move"
            if let inactive = host.inactive, !inactive.isEmpty {
                line +=
                    "; off, and not moved: \(inactive.map { "\($0)".plainText(limit: 120) }.joined(separator: ", "))"
            }
            return line
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
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
                    move.outcome?.totalSeconds.map(Units.seconds) ?? "-",
                    move.outcome?.downtimeSeconds.map(Units.milliseconds) ?? "-",
                    move.evidence?.verdict.rawValue ?? "-",
                    move.failure?.text ?? (move.statedEnd == nil ? nil : move.outcome?.note) ?? move.waiting
                        ?? move.order.reason,
                ]
            },
            empty: ""
        )
    }

    private var closedTable: TextTable {
        TextTable(
            ["CLOSED CHANNEL", "HOSTS", "LEAKING ORDER", "SINCE"],
            closed.map { closure in
                [
                    closure.channel.rawValue, "\(HostPair(closure.path))", closure.order.rawValue, closure.at.readable,
                ]
            },
            empty: ""
        )
    }
}
