// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A reader's position in one log, and the genuine lines before it that wait for the reader's clock.
///
/// If the reader's clock is slow, valid records appear to come from the future. They are accepted once the clock is
/// correct again; a reader that simply continued would never see them. A writer with a false clock can neither fill the
/// memory nor delay the lines of others.
struct ReadPosition: Sendable {
    /// Where the next read continues; `nil`: at the beginning.
    var next: Cursor?
    private var waiting: [Waiting] = []
    /// The lines beyond the limit, by their writers, who are members of the cluster.
    private var overflows: [LedgerWriter?: Overflow] = [:]

    private struct Waiting: Sendable {
        var at: Cursor
        var writer: LedgerWriter?
        var time: Instant
    }

    /// Lines of one writer that wait and are not listed: they are read again later.
    struct Overflow: Sendable {
        var first: Cursor
        var last: Cursor
        /// The earliest time of these lines: an earlier line between them has been passed on.
        var since: Instant
    }

    /// Maximum number of listed lines per writer.
    static let waitingPerWriter = 4096

    private let limit: Int

    /// Creates the position at the beginning of a log; `limit` is for tests.
    init(limit: Int = waitingPerWriter) { self.limit = limit }

    /// The number of waiting lines that are listed.
    var waitingCount: Int { waiting.count }

    /// Whether genuine lines wait for the reader's clock.
    var isWaiting: Bool { !waiting.isEmpty || !overflows.isEmpty }

    /// Remembers the lines that were rejected only because of their time.
    mutating func keep(_ lines: [SkippedLine]) {
        var counts: [LedgerWriter?: Int] = [:]
        for line in lines {
            guard case .refused(.fromTheFuture(_, let time)) = line.reason else { continue }
            let writer = line.writer
            let count = counts[writer] ?? waiting.count { $0.writer == writer }
            // Once lines of a writer are left to be read again, so are all later ones.
            if var overflow = overflows[writer] {
                overflow.last = max(overflow.last, line.at)
                overflow.since = min(overflow.since, time)
                overflows[writer] = overflow
            } else if count >= limit {
                overflows[writer] = Overflow(first: line.at, last: line.at, since: time)
            } else {
                waiting.append(Waiting(at: line.at, writer: writer, time: time))
                counts[writer] = count + 1
            }
        }
    }

    /// Removes and returns the unlisted lines of the writers whose listed lines have all been passed on, in the order of
    /// the log.
    mutating func takeOverflows() -> [(writer: LedgerWriter?, lines: Overflow)] {
        let writers = Set(waiting.map(\.writer))
        let due = overflows.filter { !writers.contains($0.key) }
        for writer in due.keys { overflows[writer] = nil }
        return due.map { ($0.key, $0.value) }.sorted { $0.lines.first < $1.lines.first }
    }

    /// Puts lines back that could not be read.
    mutating func restore(_ lines: Overflow, of writer: LedgerWriter?) {
        var lines = lines
        if let others = overflows[writer] {
            lines.first = min(lines.first, others.first)
            lines.last = max(lines.last, others.last)
            lines.since = min(lines.since, others.since)
        }
        overflows[writer] = lines
    }

    /// Returns the waiting records whose time the clock has reached, in the order of the log.
    mutating func due<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        of log: LedgerLog,
        in ledger: any FleetLedger
    ) async throws -> [LedgerRecord<Entry>] {
        var found: [(at: Cursor, record: LedgerRecord<Entry>)] = []
        var rest = waiting.sorted { ($0.time, $0.at) < ($1.time, $1.at) }[...]
        // If the earliest line still waits, so do the others: only that line is read again.
        while let earliest = rest.first {
            let batch = try await ledger.read(entries, in: log, from: earliest.at, limit: 1, selecting: nil)
            if case .refused(.fromTheFuture) = batch.skipped.first?.reason, batch.gap == nil { break }
            rest.removeFirst()
            // If retention has removed the line, the batch starts with another one.
            if batch.gap == nil, let record = batch.records.first { found.append((earliest.at, record)) }
        }
        waiting = Array(rest)
        return found.sorted { $0.at < $1.at }.map(\.record)
    }
}
