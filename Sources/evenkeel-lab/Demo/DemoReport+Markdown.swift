// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet

extension DemoReport {
    /// Returns the report as Markdown; the plots are separate files in the same folder.
    func markdown(plots: [(title: String, file: String)]) -> String {
        var sections = ["# Evenkeel: demonstration report", summary]
        for plot in plots { sections.append("![\(plot.title)](\(plot.file))") }
        sections.append("## Moves\n\n" + (moves + [plainMove].compactMap(\.self)).map(describe).joined(separator: "\n"))
        sections.append("## Work of the guests\n\n" + rateTable)
        sections.append("## On the wire\n\n" + wires.map(describe).joined(separator: "\n\n"))
        sections.append(
            "## Policy\n\n"
                + policy.sorted { $0.key < $1.key }.map { "- `\($0.key)`: \($0.value)" }.joined(separator: "\n")
        )
        return sections.joined(separator: "\n\n") + "\n"
    }

    /// The checks; the screen shows them too.
    var summary: String {
        var lines = checks.map { "- \($0.holds ? "✔" : "✘") \($0.claim): \($0.seen)" }
        if let failure { lines.append("- ✘ stopped: \(failure)") }
        lines.append("- took \(Units.seconds((endedAt - startedAt).inSeconds)) on \(machine)")
        return lines.joined(separator: "\n")
    }

    private func describe(_ move: FleetView.Move) -> String {
        let order = move.order
        var lines = [
            "### \(order.vmName): \(order.source) → \(order.target) (\(order.channel.rawValue), \(move.stage))", "",
            "- reason: \(order.reason)",
        ]
        if let prediction = order.prediction {
            lines.append(
                "- predicted CPU: \(order.source) \(percent(prediction.sourceBefore)) → \(percent(prediction.sourceAfter)), "
                    + "\(order.target) \(percent(prediction.targetBefore)) → \(percent(prediction.targetAfter))"
            )
        }
        if let outcome = move.outcome {
            lines.append(
                "- took \(outcome.totalSeconds.map(Units.seconds) ?? "?"), downtime "
                    + "\(outcome.downtimeSeconds.map(Units.milliseconds) ?? "?"), "
                    + "\(outcome.bytesTransferred.map(mebibytes) ?? "?") sent in \(outcome.iterations.map(String.init) ?? "?") iterations"
            )
            if let note = outcome.note { lines.append("- note: \(note)") }
        }
        if let failure = move.failure { lines.append("- not moved: \(failure.text)") }
        if let evidence = move.evidence { lines += describe(evidence) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func describe(_ evidence: Evidence) -> [String] {
        var lines = ["- evidence: **\(evidence.verdict.rawValue)**"]
        if let onPath = evidence.bytesOnPath {
            lines[0] +=
                ": \(onPath) bytes on the protected path, \(evidence.bytesByHypervisor.map(String.init) ?? "?") sent by QEMU"
        }
        if let sa = evidence.proof.association {
            lines.append(
                "  - SA \(sa.localIdentity) ↔ \(sa.peerIdentity), SPIs in \(sa.inboundSPI) out \(sa.outboundSPI), "
                    + "\(sa.mode.rawValue), \(sa.suite), ESP in \(sa.implementation.rawValue)\(sa.encapsulated ? ", in UDP" : "")"
            )
            lines.append("  - IKE \(sa.ikeSuite)")
        }
        if let dropped = evidence.droppedAtGates {
            lines.append("  - dropped at the source's gates during the move: \(dropped) packets")
        }
        if let counters = evidence.proof.counters {
            let (before, after) = (counters.before, counters.after)
            lines.append(
                "  - counters \(before.bytes) → \(after.bytes) bytes, \(before.packets) → \(after.packets) packets"
            )
        }
        return lines
    }

    private var rateTable: String {
        let rows = rates.map {
            "| \($0.vm) | \(decimals($0.before)) | \(decimals($0.after)) | \(Units.decimals($0.full, 1)) |"
        }
        return (["| VM | before, units/s | after, units/s | full rate |", "|---|---|---|---|"] + rows).joined(
            separator: "\n"
        )
    }

    private func describe(_ wire: Wire) -> String {
        var lines = [
            "### \(wire.title)", "",
            "\(wire.packets) packets, \(mebibytes(wire.bytes)), \(wire.espPackets) of them ESP; secret found "
                + "**\(wire.markers)** times in \(wire.packetsWithMarker) packets; \(wire.dropped) packets dropped by the capture.",
        ]
        if let packet = wire.packet { lines += ["", packet.summary, "", "```", packet.dump, "```"] }
        return lines.joined(separator: "\n")
    }

    private func mebibytes(_ bytes: UInt64) -> String { "\(Units.decimals(Double(bytes) / 1048576, 1)) MiB" }
    private func decimals(_ value: Double?) -> String { value.map { Units.decimals($0, 1) } ?? "?" }
}
