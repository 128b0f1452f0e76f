// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Synchronization

/// Which reports of the past a reader can leave out, because their orders have ended.
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

    /// Number of lines read at once.
    private static let batch = 4096

    /// Reads the ends of these orders, which are in the order of the ledger.
    static func read(
        _ orders: [MigrationOrder],
        in ledger: any FleetLedger,
        _ history: LedgerHistory
    ) async throws -> HistoryDigest {
        let known = Dictionary(orders.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var newest = orders.map(\.issuedAt).max()
        let progress = ProgressSpans(of: orders, history, since: history.endedSince(newest: newest))
        var ends: [OrderID: OrderReport] = [:]
        var cursor: Cursor?
        while true {
            let batch = try await ledger.read(
                OrderReport.self,
                in: LedgerLog(.reports),
                from: cursor,
                limit: Self.batch,
                selecting: progress.selection
            )
            for record in batch.records where record.body.step.isFinal {
                let report = record.body
                // Another host cannot end the order with a report of its own.
                if known[report.order]?.source == report.host { ends[report.order] = report }
                // The reader may have written with the clock that is ahead.
                if report.host != history.host { newest = max(newest ?? record.at, record.at) }
            }
            cursor = batch.next
            if !batch.hasMore { break }
        }
        let begun = orders.filter { order in
            if case .done? = ends[order.id]?.step { return true }
            return progress[order.id] != nil
        }
        let since = history.endedSince(newest: newest)
        let lasting = history.host == nil ? [] : Set(newestOfEachVM(begun.filter(history.concerns)))
        var fates: [String: Fate] = [:]
        // Where such a VM has been since decides whether its image may still be used.
        let sealed = Set(known.values.filter { $0.channel == .sealed && $0.source == history.host }.map(\.vm))
        for (id, report) in ends {
            guard let order = known[id], !sealed.contains(order.vm),
                let isDropped = isDropped(order, endedBy: report, history, since)
            else { continue }
            let isNeeded = !isDropped || lasting.contains(id)
            fates[id.rawValue] = isNeeded ? .ended(progress: progress[id]) : .dropped
        }
        return HistoryDigest(fates: fates, end: cursor ?? .origin)
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
        _ since: Instant?
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
        // Not the end's time alone: a source could claim one long ago, and hide the order.
        return since.map { max(report.at, order.issuedAt) < $0 } ?? false
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

/// The positions of the first and the last report of progress that the source of each order has written.
///
/// Anyone who can write to the storage can forge a line that claims to be one: only verified lines count. Lines of other
/// orders than the given ones are ignored, so that a flood does not fill the memory.
private final class ProgressSpans: Sendable {
    private let sources: [String: LedgerWriter]
    private let spans = Mutex<[String: ClosedRange<Cursor>]>([:])

    /// `since`: orders from before this are left out, as far as is known yet.
    init(of orders: [MigrationOrder], _ history: LedgerHistory, since: Instant?) {
        let needed = orders.filter { order in
            // The newest order of each VM of this host is needed, however old.
            history.concerns(order) && (history.host != nil || since.map { order.issuedAt >= $0 } ?? true)
        }
        let pairs = needed.map { ($0.id.rawValue, LedgerWriter.host($0.source)) }
        sources = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    subscript(_ order: OrderID) -> ClosedRange<Cursor>? { spans.withLock { $0[order.rawValue] } }

    /// Chooses the ends of orders, and notes the reports of progress.
    var selection: LineSelection {
        LineSelection(verifying: { [self] lines, author in
            var chosen: [RawBatch.Line] = []
            var progress: [(order: String, line: RawBatch.Line)] = []
            for line in lines {
                switch LineGlimpse.report(line.bytes) {
                case nil, (_, "done")?, (_, "failed")?: chosen.append(line)
                case (let order, "running")? where sources[order] != nil: progress.append((order, line))
                default: break
                }
            }
            note(progress, author)
            return chosen
        })
    }

    /// Verifies one or two lines of each order, and more only if some are forged.
    private func note(_ progress: [(order: String, line: RawBatch.Line)], _ author: LineSelection.Author) {
        var known = spans.withLock { $0 }
        for (order, line) in progress where known[order] == nil && author(line) == sources[order] {
            known[order] = line.at...line.at
        }
        var hasLast: Set<String> = []
        for (order, line) in progress.reversed() where !hasLast.contains(order) {
            guard let span = known[order] else { continue }
            guard line.at > span.upperBound else {
                hasLast.insert(order)
                continue
            }
            guard author(line) == sources[order] else { continue }
            known[order] = span.lowerBound...line.at
            hasLast.insert(order)
        }
        // Batches are read one after the other.
        spans.withLock { $0 = known }
    }
}
