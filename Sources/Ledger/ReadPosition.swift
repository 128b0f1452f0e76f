// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A reader's position in one log, and the genuine lines before it that wait for the reader's clock.
///
/// If the reader's clock is slow, valid records appear to come from the future. They are accepted once the clock is
/// correct again; a reader that simply continued would never see them.
struct ReadPosition: Sendable {
    /// Where the next read continues; `nil`: at the beginning.
    var next: Cursor?
    private var waiting: [Waiting] = []

    private struct Waiting: Sendable {
        var at: Cursor
        var writer: LedgerWriter?
        var time: Instant
    }

    /// Maximum number of waiting lines per writer; a writer with a false clock can lose only its own lines.
    static let waitingPerWriter = 4096

    /// Creates the position at the beginning of a log.
    init() {}

    /// The number of waiting lines.
    var waitingCount: Int { waiting.count }

    /// Remembers the lines that were rejected only because of their time.
    mutating func keep(_ lines: [SkippedLine]) {
        for line in lines {
            guard case .refused(.fromTheFuture(_, let time)) = line.reason,
                waiting.count(where: { $0.writer == line.writer }) < Self.waitingPerWriter
            else { continue }
            waiting.append(Waiting(at: line.at, writer: line.writer, time: time))
        }
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
