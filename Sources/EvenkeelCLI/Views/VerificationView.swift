// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Ledger

/// Every move of the ledger with what a second look at its evidence found.
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
    /// What the streams of orders and reports have and readers do not count, each kind once with its number.
    var refusals: [LedgerRemarks.Entry]
    /// Whether anything is not as it must be, or not proven.
    var failed: Bool

    /// `only`: the one order that is asked for; the orders of which nothing is known to have begun are left out else.
    ///
    /// What is refused fails the check of one order as well: any of it may have been a report of that order.
    static func read(
        _ ledger: any FleetLedger,
        only wanted: OrderID?,
        minimum: MinimumSuite,
        roster: Roster?
    ) async throws -> VerificationView {
        var orders: [MigrationOrder] = []
        var known: Set<OrderID> = []
        var reports: [OrderID: [OrderReport]] = [:]
        var place = LedgerPlace()
        var remarks = try await ledger.readOn(OrderRecord.self, from: &place) { record in
            guard case .migrate(let order) = record, known.insert(order.id).inserted else { return }
            orders.append(order)
        }
        place = LedgerPlace()
        remarks.add(
            try await ledger.readOn(OrderReport.self, from: &place) { reports[$0.order, default: []].append($0) }
        )
        let certificates = roster?.issuedCertificates
        let checks = orders.filter { wanted == nil || $0.id == wanted }
            .map {
                EvidenceCheck($0, reports: reports[$0.id] ?? [], minimum: minimum, certificates: certificates)
            }
            .filter { wanted != nil || $0.stage == .done || $0.evidence != nil || $0.failed }
        let failed = checks.contains { $0.failed || $0.unproven } || remarks.entries.contains(where: isFailure)
        return VerificationView(moves: checks.map(Move.init), refusals: remarks.entries, failed: failed)
    }

    /// A line that its writer was stopped in proves nothing, and neither does what retention has removed.
    private static func isFailure(_ entry: LedgerRemarks.Entry) -> Bool { entry.kind != .torn && entry.kind != .gap }
}

extension Roster {
    /// What it remembers of each host's certificates; nothing for a host that it has from before it remembered any.
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
                empty: "The ledger has no move with evidence."
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
                // Evidence is in its host's words.
                return "\(move.order): \(word): \(finding.text)".plainText()
            }
        }
        if !findings.isEmpty { sections.append(findings.joined(separator: "\n")) }
        let refused = refusals.map { "ledger: \(Self.isFailure($0) ? "REFUSED" : "note"): \($0)" }
        if !refused.isEmpty { sections.append(refused.joined(separator: "\n")) }
        sections.append(
            failed ? "NOT all is as it must be, or proven." : "All that is there to check is as it must be."
        )
        return sections.joined(separator: "\n\n")
    }
}
