// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Synchronization

/// Which reports of the past a reader can leave out, because their orders have ended.
///
/// Only verified records decide that: the order, and the end that its source reported. Reports of progress are nearly
/// all of the stream, and of an order that has ended only the last one says something.
struct HistoryDigest: Sendable {
    private enum Fate {
        case dropped
        /// Only this report of progress is read; `nil`: all are.
        case ended(progress: Cursor?)
    }

    private let fates: [String: Fate]
    /// The position up to which reports were considered.
    let end: Cursor

    /// Number of lines read at once.
    private static let batch = 4096

    /// Reads the ends of these orders.
    static func read(
        _ orders: [MigrationOrder],
        in ledger: any FleetLedger,
        _ history: LedgerHistory
    ) async throws -> HistoryDigest {
        let known = Dictionary(orders.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let progress = LastProgress()
        let selection = LineSelection { lines in
            lines.filter { line in
                guard let claim = LineGlimpse.report(line.bytes) else { return true }
                if claim.step == "running" { progress.note(claim.order, at: line.at) }
                return claim.step == "done" || claim.step == "failed"
            }
        }
        var ends: [OrderID: OrderReport] = [:]
        var cursor: Cursor?
        while true {
            let batch = try await ledger.read(
                OrderReport.self,
                in: LedgerLog(.reports),
                from: cursor,
                limit: Self.batch,
                selecting: selection
            )
            for report in batch.records.map(\.body) where report.step.isFinal {
                // Another host cannot end the order with a report of its own.
                if known[report.order]?.source == report.host { ends[report.order] = report }
            }
            cursor = batch.next
            if !batch.hasMore { break }
        }
        var fates: [String: Fate] = [:]
        for (id, report) in ends {
            guard let order = known[id], let fate = fate(of: order, endedBy: report, history) else { continue }
            fates[id.rawValue] = fate ? .dropped : .ended(progress: progress.last(of: id.rawValue))
        }
        return HistoryDigest(fates: fates, end: cursor ?? .origin)
    }

    /// Returns whether the order is left out altogether; `nil` if all of it is needed.
    ///
    /// Orders in doubt are still pursued, and the image of a sealed order may still have to be removed. A leak keeps
    /// its channel closed.
    private static func fate(
        of order: MigrationOrder,
        endedBy report: OrderReport,
        _ history: LedgerHistory
    ) -> Bool? {
        guard order.channel != .sealed else { return nil }
        let evidence: Evidence?
        switch report.step {
        case .done(_, let its): evidence = its
        case .failed(let failure) where failure.kind != .inDoubt: evidence = failure.evidence
        default: return nil
        }
        guard evidence?.verdict != .leak else { return false }
        if let host = history.host, order.source != host, order.target != host { return true }
        // Not the end's time alone: a source could claim one long ago, and hide the order.
        return history.endedSince.map { max(report.at, order.issuedAt) < $0 } ?? false
    }

    /// Returns whether the order is left out.
    func drops(_ order: OrderID) -> Bool {
        if case .dropped? = fates[order.rawValue] { true } else { false }
    }

    /// Chooses the reports that are needed.
    var selection: LineSelection {
        LineSelection { lines in
            lines.filter { line in
                guard line.at < end, let claim = LineGlimpse.report(line.bytes) else { return true }
                switch fates[claim.order] {
                case nil: return true
                case .dropped: return false
                case .ended(let progress):
                    return claim.step != "running" || progress == nil || progress == line.at
                }
            }
        }
    }
}

/// The position of each order's last report of progress.
private final class LastProgress: Sendable {
    private let positions = Mutex<[String: Cursor]>([:])

    func note(_ order: String, at position: Cursor) { positions.withLock { $0[order] = position } }

    func last(of order: String) -> Cursor? { positions.withLock { $0[order] } }
}
