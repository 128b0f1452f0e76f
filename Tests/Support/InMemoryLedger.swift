// SPDX-License-Identifier: Apache-2.0
public import HostOS
public import Fleet
internal import Synchronization

@testable public import Ledger

/// A ledger in memory, for tests of agents and controllers and for the simulator.
///
/// It keeps encoded lines, so that entries that the shared log cannot write fail here too. Ledgers created by
/// `writing(as:)` share one content.
public struct InMemoryLedger: FleetLedger {
    private let content: Content
    private let writer: LedgerWriter
    private let security: LedgerSecurity
    private let maximumRecordBytes: Int
    private let now: @Sendable () -> Instant

    /// Creates an empty ledger that refuses records longer than `maximumRecordBytes`.
    public init(
        writer: LedgerWriter,
        security: LedgerSecurity = .unsigned,
        maximumRecordBytes: Int = 1 << 20,
        now: @escaping @Sendable () -> Instant = { .now }
    ) {
        self.content = Content()
        self.writer = writer
        self.security = security
        self.maximumRecordBytes = maximumRecordBytes
        self.now = now
    }

    private init(_ other: InMemoryLedger, writer: LedgerWriter, security: LedgerSecurity) {
        self.content = other.content
        self.writer = writer
        self.security = security
        self.maximumRecordBytes = other.maximumRecordBytes
        self.now = other.now
    }

    /// Returns the same ledger for another writer, with the writer's own security if it is given.
    public func writing(as writer: LedgerWriter, security: LedgerSecurity? = nil) -> InMemoryLedger {
        InMemoryLedger(self, writer: writer, security: security ?? self.security)
    }

    /// Makes every later call on this content fail with `error`; `nil` ends the outage.
    public func fail(with error: LedgerError?) {
        content.state.withLock { $0.outage = error }
    }

    public func append<Entry: LedgerEntry>(_ entry: Entry) async throws {
        let record = LedgerRecord(writer: writer, at: now(), body: entry)
        let signer = try security.signer(for: writer) { [content] in content.id }
        let draft = try LineCodec.draft(record, signer: signer, limit: maximumRecordBytes)
        try content.state.withLock { state in
            if let outage = state.outage { throw outage }
            let place = Cursor(segment: 1, offset: Int64(state.lines[Entry.stream, default: []].count))
            state.lines[Entry.stream, default: []].append(try draft.line(at: place).dropLast())
        }
    }

    public func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        let raw: RawBatch = try content.state.withLock { state in
            if let outage = state.outage { throw outage }
            let lines = state.lines[Entry.stream, default: []]
            let start = cursor ?? .origin
            guard start.segment == 1, (0...Int64(lines.count)).contains(start.offset) else {
                throw LedgerError.cursorNotInLog(
                    path: "memory/\(Entry.stream.rawValue)",
                    cursor: start,
                    reason: "it has \(lines.count) records"
                )
            }
            let range = Int(start.offset)..<min(lines.count, Int(start.offset) + max(1, limit))
            return RawBatch(
                lines: range.map {
                    RawBatch.Line(
                        at: Cursor(segment: 1, offset: Int64($0)),
                        bytes: Array(lines[$0]),
                        length: lines[$0].count
                    )
                },
                next: Cursor(segment: 1, offset: Int64(range.upperBound)),
                hasMore: range.upperBound < lines.count
            )
        }
        let reader = LineReader(verifier: verifier, now: now(), reader: writer, log: LedgerLog(Entry.stream))
        var changes = SampleExpansion(reader: reader, basis: nil) { _, _ in nil }
        return try raw.decoded(as: entries, by: reader, completing: &changes)
    }

    private var verifier: RecordVerifier? {
        guard case .signed(_, let roster) = security else { return nil }
        return content.verifiers.verifier(ledger: content.id, roster: roster())
    }

    private final class Content: Sendable {
        struct State {
            var lines: [LedgerStream: [ArraySlice<UInt8>]] = [:]
            var outage: LedgerError?
        }
        let id = LedgerMarker.newID()
        let state = Mutex(State())
        let verifiers = RecordVerifier.Cache()
    }
}
