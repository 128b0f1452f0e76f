// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A verified line; its body may state only what has changed.
struct ReadRecord<Entry: LedgerEntry>: Sendable {
    var writer: LedgerWriter
    var at: Instant
    var body: LineBody<Entry>

    /// Whether its writer may write it; a change is of the host of its basis.
    var mayBeWritten: Bool {
        if case .whole(let entry) = body { entry.mayBeWritten(by: writer) } else { true }
    }
}

/// Decodes and verifies lines.
struct LineReader: Sendable {
    /// `nil`: an unsigned ledger, in which the stated writer is not verified.
    var verifier: RecordVerifier?
    /// The time by the reader's clock.
    var now: Instant
    /// The reader itself: its own lines count whatever their time, because this host's clock may have been wrong when it
    /// wrote them.
    var reader: LedgerWriter
    /// The log that the lines come from.
    var log: LedgerLog

    func read<Entry: LedgerEntry>(
        _ line: RawBatch.Line,
        as entries: Entry.Type
    ) -> Result<ReadRecord<Entry>, NoRecord> {
        var skipped = SkippedLine(at: line.at, bytes: line.length, reason: .torn)
        do {
            return .success(try record(line, as: entries, writer: &skipped.writer))
        } catch {
            skipped.reason = error.reason
            return .failure(NoRecord(line: skipped))
        }
    }

    /// Returns the writer of a line that is a record of this log, or will be one once this reader's clock reaches its
    /// time.
    ///
    /// The body is not decoded. In an unsigned ledger it is the stated writer.
    func author(of line: RawBatch.Line) -> LedgerWriter? {
        guard line.defect == nil, line.bytes.last != LineCodec.tornMark else { return nil }
        guard SignedLine.isOne(line.bytes) else {
            return verifier == nil ? (try? LineCodec.label(line.bytes))?.writer : nil
        }
        guard let signed = try? SignedLine(line.bytes) else { return nil }
        return switch verifier?.refusal(of: signed, at: line.at, in: log, now: now) {
        case nil, .fromTheFuture: signed.writer
        default: nil
        }
    }

    struct NoRecord: Error {
        var line: SkippedLine
    }

    private func record<Entry: LedgerEntry>(
        _ line: RawBatch.Line,
        as entries: Entry.Type,
        writer: inout LedgerWriter?
    ) throws(LineCodec.Unreadable) -> ReadRecord<Entry> {
        if let defect = line.defect { throw LineCodec.Unreadable(reason: defect) }
        if line.bytes.last == LineCodec.tornMark { throw LineCodec.Unreadable(reason: .torn) }
        let record: ReadRecord<Entry>
        if SignedLine.isOne(line.bytes) {
            record = try signedRecord(line, as: entries, writer: &writer)
        } else if let verifier {
            let label = try LineCodec.label(line.bytes)
            guard label.v == LineCodec.unsignedVersion else {
                throw LineCodec.Unreadable(reason: .unknownVersion(label.v))
            }
            writer = label.writer.flatMap { verifier.knows($0) ? $0 : nil }
            throw LineCodec.Unreadable(reason: .refused(.unsigned))
        } else {
            record = try LineCodec.unsignedRecord(line.bytes, as: entries)
        }
        writer = record.writer
        guard record.mayBeWritten, record.writer == log.writer ?? record.writer else {
            throw LineCodec.Unreadable(reason: .refused(.notForWriter))
        }
        return record
    }

    private func signedRecord<Entry: LedgerEntry>(
        _ line: RawBatch.Line,
        as entries: Entry.Type,
        writer: inout LedgerWriter?
    ) throws(LineCodec.Unreadable) -> ReadRecord<Entry> {
        let signed = try SignedLine(line.bytes)
        if let verifier {
            // Do not count skipped lines by unknown names: an attacker can invent any number of them.
            writer = verifier.knows(signed.writer) ? signed.writer : nil
            let now = signed.writer == reader ? max(now, signed.at) : now
            if let refusal = verifier.refusal(of: signed, at: line.at, in: log, now: now) {
                throw LineCodec.Unreadable(reason: .refused(refusal))
            }
        }
        guard signed.kind == Entry.stream.rawValue else {
            throw LineCodec.Unreadable(
                reason: .unreadable("its kind is '\(signed.kind.plainText(limit: 80))', not '\(Entry.stream.rawValue)'")
            )
        }
        return ReadRecord(
            writer: signed.writer,
            at: signed.at,
            body: try LineCodec.decodeBody(Entry.self, from: signed.body)
        )
    }
}
