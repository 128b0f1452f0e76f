// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Which reports of the past a reader can leave out, because their orders have ended.
///
/// An order without any report that could begin only long ago is left out, too: it was never taken up, or retention has
/// removed its reports. A reader would take it for one that never began.
///
/// Only verified records decide that: the order, and the end that its source reported. Reports of progress are nearly
/// all of the stream. Of an order that has ended, only the first and the last one of its source say something: when the
/// move began, and how it went.
struct HistoryDigest: Sendable {
    private enum Fate {
        case dropped
        /// Only the first and the last of these reports of progress are read; `nil`: all are.
        case ended(progress: ClosedRange<Cursor>?)
    }

    private let fates: [String: Fate]
    /// The position up to which reports were considered.
    let end: Cursor

    /// Reads the ends of the orders in these records, which are in the order of the ledger.
    static func read(
        _ records: [OrderRecord],
        in ledger: any FleetLedger,
        _ history: LedgerHistory
    ) async throws -> HistoryDigest {
        let orders = records.compactMap { if case .migrate(let order) = $0 { order } else { nil } }
        let known = Dictionary(orders.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let newest = orders.map(\.issuedAt).max()
        let scan = ReportScan(of: orders, history, since: history.endedSince(newest: newest))
        let found = try await Ends.read(of: known, in: ledger, history, scan, newest: newest)
        let (ends, progress) = (found.reports, scan.progress)
        let begun = orders.filter { order in
            if case .done? = ends[order.id]?.step { return true }
            return progress[order.id.rawValue] != nil
        }
        let lasting = history.host == nil ? [] : Set(newestOfEachVM(begun.filter(history.concerns)))
        var fates: [String: Fate] = [:]
        // Where such a VM has been since decides whether its image may still be used.
        let sealed = Set(known.values.filter { $0.channel == .sealed && $0.source == history.host }.map(\.vm))
        for (id, report) in ends {
            guard let order = known[id], !sealed.contains(order.vm),
                let isDropped = isDropped(order, endedBy: report, history, found, scan.claims)
            else { continue }
            let isNeeded = !isDropped || lasting.contains(id)
            fates[id.rawValue] = isNeeded ? .ended(progress: progress[id.rawValue]) : .dropped
        }
        for id in unreported(known, records, history, found, scan.claims) { fates[id.rawValue] = .dropped }
        return HistoryDigest(fates: fates, end: found.end)
    }

    /// Returns the orders of which nothing is known, and which could begin only long ago.
    private static func unreported(
        _ known: [OrderID: MigrationOrder],
        _ records: [OrderRecord],
        _ history: LedgerHistory,
        _ found: Ends,
        _ claims: ReportClaims
    ) -> [OrderID] {
        guard let since = history.endedSince(newest: found.newest) else { return [] }
        let stated = Set(records.compactMap { if case .end(let id, _, _, _) = $0 { id } else { nil } })
        return known.values.filter { order in
            // A host's journal may show that a sealed move had begun.
            let isOfJournal = order.channel == .sealed && history.host != nil
            return claims.unreported.contains(order.id.rawValue) && !stated.contains(order.id) && !isOfJournal
                && order.latestBeginning < since
        }.map(\.id)
    }

    private static func newestOfEachVM(_ orders: [MigrationOrder]) -> [OrderID] {
        Array(Dictionary(orders.map { ($0.vm, $0.id) }, uniquingKeysWith: { _, later in later }).values)
    }

    /// Returns whether the order is left out altogether; `nil` if all of it is needed.
    ///
    /// Orders in doubt are still pursued, and the image of a sealed order may still have to be removed. A leak keeps
    /// its channel closed.
    private static func isDropped(
        _ order: MigrationOrder,
        endedBy report: OrderReport,
        _ history: LedgerHistory,
        _ found: Ends,
        _ claims: ReportClaims
    ) -> Bool? {
        guard order.channel != .sealed else { return nil }
        let evidence: Evidence?
        switch report.step {
        case .done(_, let its): evidence = its
        case .failed(let failure) where failure.kind != .inDoubt: evidence = failure.evidence
        default: return nil
        }
        guard evidence?.verdict != .leak else { return false }
        if !history.concerns(order) { return true }
        guard let since = history.endedSince(newest: found.newest) else { return false }
        // Not the end's time alone: a source could claim one long ago, and hide the order.
        let endedAt = max(report.at, order.issuedAt)
        if case .failed(let failure) = report.step, failure.mayLeaveSearch(of: order), claims.hasBegun(order.id),
            let searchedSince = history.searchedSince(newest: found.newest)
        {
            let search = found.searches[order.id] ?? CopySearch()
            return search.isOver(failedAt: endedAt, endedSince: since, searchedSince: searchedSince)
        }
        return endedAt < since
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
                    guard claim.step == "running", let progress else { return true }
                    return line.at == progress.lowerBound || line.at == progress.upperBound
                }
            }
        }
    }
}

/// The ends that the sources of orders have reported, and what they asked after failures.
private struct Ends {
    var reports: [OrderID: OrderReport] = [:]
    var searches: [OrderID: CopySearch] = [:]
    /// The time of the newest record.
    var newest: Instant?
    /// The position up to which reports were considered.
    var end = Cursor.origin

    /// Number of lines read at once.
    private static let batch = 4096

    static func read(
        of known: [OrderID: MigrationOrder],
        in ledger: any FleetLedger,
        _ history: LedgerHistory,
        _ scan: ReportScan,
        newest: Instant?
    ) async throws -> Ends {
        var ends = Ends(newest: newest)
        var cursor: Cursor?
        while true {
            let batch = try await ledger.read(
                OrderReport.self,
                in: LedgerLog(.reports),
                from: cursor,
                limit: Self.batch,
                selecting: scan.selection
            )
            for record in batch.records {
                scan.note(record.body)
                ends.take(record, known, history)
            }
            cursor = batch.next
            if !batch.hasMore { break }
        }
        ends.end = cursor ?? .origin
        return ends
    }

    private mutating func take(
        _ record: LedgerRecord<OrderReport>,
        _ known: [OrderID: MigrationOrder],
        _ history: LedgerHistory
    ) {
        let report = record.body
        if report.step.isOfSearch, history.host == nil, let order = known[report.order] {
            searches[report.order, default: CopySearch()].take(report, of: order)
        }
        guard report.step.isFinal else { return }
        // Another host cannot end the order with a report of its own.
        if known[report.order]?.source == report.host { reports[report.order] = report }
        // The reader may have written with the clock that is ahead.
        if report.host != history.host { newest = max(newest ?? record.at, record.at) }
    }
}
