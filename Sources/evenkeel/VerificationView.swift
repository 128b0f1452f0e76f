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

    /// What the ledger has and readers do not count.
    struct Refusal: Encodable {
        var text: String
        /// A line that its writer was stopped in proves nothing.
        var isFailure: Bool
    }

    var moves: [Move]
    var refusals: [Refusal]
    var failed: Bool

    /// `only`: the one order that is asked for; the orders of which nothing is known to have begun are left out else.
    static func read(
        _ ledger: any FleetLedger,
        only wanted: OrderID?,
        minimum: MinimumSuite
    ) async throws -> VerificationView {
        var orders: [MigrationOrder] = []
        var known: Set<OrderID> = []
        var reports: [OrderID: [OrderReport]] = [:]
        var refusals = try await read(OrderRecord.self, in: ledger) { record in
            guard case .migrate(let order) = record, known.insert(order.id).inserted else { return }
            orders.append(order)
        }
        refusals += try await read(OrderReport.self, in: ledger) { reports[$0.order, default: []].append($0) }
        let checks = orders.filter { wanted == nil || $0.id == wanted }
            .map { EvidenceCheck($0, reports: reports[$0.id] ?? [], minimum: minimum) }
            .filter { wanted != nil || $0.stage == .done || $0.evidence != nil || $0.failed }
        let failed = checks.contains(where: \.failed) || (wanted == nil && refusals.contains(where: \.isFailure))
        return VerificationView(moves: checks.map(Move.init), refusals: refusals, failed: failed)
    }

    private static func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        in ledger: any FleetLedger,
        take: (Entry) -> Void
    ) async throws -> [Refusal] {
        var refusals: [Refusal] = []
        var cursor: Cursor?
        while true {
            let batch = try await ledger.read(entries, from: cursor)
            for record in batch.records {
                if record.body.mayBeWritten(by: record.writer) {
                    take(record.body)
                } else {
                    let text = "\(Entry.stream): what \(record.writer) wrote is not for it to say"
                    refusals.append(Refusal(text: text, isFailure: true))
                }
            }
            refusals += batch.skipped.map { Refusal(text: "\(Entry.stream): \($0)", isFailure: $0.reason != .torn) }
            if let gap = batch.gap { refusals.append(Refusal(text: "\(Entry.stream): \(gap)", isFailure: false)) }
            cursor = batch.next
            if !batch.hasMore { return refusals }
        }
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
        return failures == 0 ? "ok" : "FAILED (\(failures))"
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
            move.findings.map { "\(move.order): \($0.severity == .failure ? "FAILED" : "note"): \($0.text)" }
        }
        if !findings.isEmpty { sections.append(findings.joined(separator: "\n")) }
        let refused = refusals.map { "ledger: \($0.isFailure ? "REFUSED" : "note"): \($0.text)" }
        if !refused.isEmpty { sections.append(refused.joined(separator: "\n")) }
        sections.append(failed ? "NOT all is as it must be." : "All that is there to check is as it must be.")
        return sections.joined(separator: "\n\n")
    }
}
