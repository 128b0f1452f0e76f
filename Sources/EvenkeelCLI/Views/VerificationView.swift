// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Ledger

/// Every move of the ledger with the findings of a second check of its evidence.
struct VerificationView: Encodable {
    struct Move: Encodable {
        var order: OrderID
        var vmName: String
        var source: HostName
        var target: HostName
        var channel: Channel
        var stage: String
        var verdict: Evidence.Verdict?
        var findings: [EvidenceCheck.Finding]
    }

    var moves: [Move]
    /// Rejected lines of the streams of orders and reports, counted by kind.
    var refusals: [LedgerRemarks.Entry]
    /// Whether a check failed, or a move is unproven.
    var failed: Bool

    /// Checks one order, or with `nil` all except those that are not known to have started.
    ///
    /// A rejected line fails the check of one order as well: it may have been a report of that order.
    static func read(
        _ ledger: any FleetLedger,
        only wanted: OrderID?,
        minimum: MinimumSuite,
        roster: Roster?
    ) async throws -> VerificationView {
        var orders: [MigrationOrder] = []
        var known: Set<OrderID> = []
        var reports: [OrderID: [OrderReport]] = [:]
        var follower = LedgerFollower(ledger)
        var ends: [OrderID: [StatedEnd]] = [:]
        try await follower.readOrders { record in
            switch record {
            case .migrate(let order): if known.insert(order.id).inserted { orders.append(order) }
            case .end(let id, let host, let at, let reason):
                ends[id, default: []].append(StatedEnd(host: host, at: at, reason: reason))
            case .cancel, .clear, .takeOver: break
            }
        }
        try await follower.readReports { reports[$0.order, default: []].append($0) }
        let remarks = follower.remarks
        let certificates = roster?.issuedCertificates
        let checks = orders.filter { wanted == nil || $0.id == wanted }
            .map {
                EvidenceCheck(
                    $0,
                    reports: reports[$0.id] ?? [],
                    ends: ends[$0.id] ?? [],
                    minimum: minimum,
                    certificates: certificates
                )
            }
            .filter { wanted != nil || $0.stage == .done || $0.evidence != nil || $0.failed || $0.unproven }
        let failed = checks.contains { $0.failed || $0.unproven } || remarks.entries.contains(where: isFailure)
        return VerificationView(moves: checks.map(Move.init), refusals: remarks.entries, failed: failed)
    }

    /// Returns whether lines were rejected.
    ///
    /// A line left incomplete by a stopped writer proves nothing, and neither does a line that retention has removed.
    /// A record of another version is genuine; its move is unproven.
    private static func isFailure(_ entry: LedgerRemarks.Entry) -> Bool {
        ![.torn, .gap, .notUnderstood].contains(entry.kind)
    }
}

extension Roster {
    /// The certificates issued to each host; none for a host enrolled before rosters recorded them.
    fileprivate var issuedCertificates: [HostName: [IssuedCertificate]] {
        var issued: [HostName: [IssuedCertificate]] = [:]
        for member in members {
            if case .host(let host) = member.name { issued[host] = member.issued ?? [] }
        }
        return issued
    }
}

extension VerificationView.Move {
    init(_ check: EvidenceCheck) {
        order = check.order.id
        vmName = check.order.vmName
        source = check.order.source
        target = check.order.target
        channel = check.order.channel
        stage = "\(check.stage)"
        verdict = check.evidence?.verdict
        findings = check.findings
    }

    fileprivate var result: String {
        let failures = findings.count { $0.severity == .failure }
        if failures > 0 { return "FAILED (\(failures))" }
        return findings.contains { $0.severity == .unproven } ? "unproven" : "ok"
    }
}

extension VerificationView {
    var text: String {
        var sections = [
            TextTable(
                ["ORDER", "VM", "FROM", "TO", "CHANNEL", "STAGE", "EVIDENCE", "RESULT"],
                moves.map { move in
                    [
                        move.order.rawValue, move.vmName, move.source.rawValue, move.target.rawValue,
                        move.channel.rawValue, move.stage, move.verdict?.rawValue ?? "-", move.result,
                    ]
                },
                empty: "The ledger has no moves with evidence."
            ).text
        ]
        let findings = moves.flatMap { move in
            move.findings.map { finding in
                let word =
                    switch finding.severity {
                    case .failure: "FAILED"
                    case .unproven: "UNPROVEN"
                    case .note: "note"
                    }
                // Escape control characters: evidence contains text from its host.
                return "\(move.order): \(word): \(finding.text)".plainText()
            }
        }
        if !findings.isEmpty { sections.append(findings.joined(separator: "\n")) }
        let refused = refusals.map { "ledger: \(Self.isFailure($0) ? "REJECTED" : "note"): \($0)" }
        if !refused.isEmpty { sections.append(refused.joined(separator: "\n")) }
        sections.append(summary)
        return sections.joined(separator: "\n\n")
    }

    private var summary: String {
        guard failed else { return moves.isEmpty ? "Nothing to verify." : "All evidence verified." }
        let bad = moves.count { $0.result != "ok" }
        let lines = refusals.filter(Self.isFailure).reduce(0) { $0 + $1.count }
        let parts = [
            bad > 0 ? "\(bad) of \(Units.count(moves.count, "move"))" : nil,
            lines > 0 ? "\(Units.count(lines, "ledger line")) rejected" : nil,
        ]
        return "Verification failed: \(parts.compactMap(\.self).joined(separator: ", ")) (details above)."
    }
}
