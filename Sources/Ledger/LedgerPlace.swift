// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// How far a reader has come in one stream, and which genuine lines behind it wait for the reader's clock.
///
/// A clock that lags makes honest records look as if they came from the future. They count as soon as it is right
/// again; a reader that just went on would never see them.
public struct LedgerPlace: Sendable {
    /// Where the next read goes on; `nil`: at the beginning.
    public internal(set) var next: Cursor?
    private var waiting: [Waiting] = []

    private struct Waiting: Sendable {
        var at: Cursor
        var writer: LedgerWriter?
        var time: Instant
    }

    /// So many lines of one writer wait; one that lies about its time cannot fill more, and only its own are lost.
    static let waitingPerWriter = 4096

    /// The beginning of a stream.
    public init() {}

    /// How many lines wait.
    public var waitingCount: Int { waiting.count }

    /// Keeps in mind those of the lines that only their time speaks against.
    mutating func keep(_ lines: [SkippedLine]) {
        for line in lines {
            guard case .refused(.fromTheFuture(_, let time)) = line.reason,
                waiting.count(where: { $0.writer == line.writer }) < Self.waitingPerWriter
            else { continue }
            waiting.append(Waiting(at: line.at, writer: line.writer, time: time))
        }
    }

    /// The records that the clock has come to meanwhile, in the order of the stream.
    mutating func due<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        in ledger: some FleetLedger
    ) async throws -> [LedgerRecord<Entry>] {
        var found: [(at: Cursor, record: LedgerRecord<Entry>)] = []
        var rest = waiting.sorted { ($0.time, $0.at) < ($1.time, $1.at) }[...]
        // The earliest tells whether the others must be looked at: one line is read again as long as it waits.
        while let earliest = rest.first {
            let batch = try await ledger.read(entries, from: earliest.at, limit: 1)
            if case .refused(.fromTheFuture) = batch.skipped.first?.reason, batch.gap == nil { break }
            rest.removeFirst()
            // Where retention has removed it, the batch has another one.
            if batch.gap == nil, let record = batch.records.first { found.append((earliest.at, record)) }
        }
        waiting = Array(rest)
        return found.sorted { $0.at < $1.at }.map(\.record)
    }
}
