// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Reads lines of one stream of the shared log without a lock.
struct SegmentReader: Sendable {
    let files: SegmentFiles

    /// Number of bytes read from a file at once.
    private static let chunkBytes = 256 << 10
    /// A read ends at this number of bytes, whatever its limit.
    private static let batchBytes = 8 << 20
    /// A longer line is not a record; it is skipped without being kept.
    private static let lineBytes = 4 << 20

    /// Returns up to `limit` lines after `cursor`; without a cursor, from the oldest segment.
    func read(from cursor: Cursor?, limit: Int) throws(LedgerError) -> RawBatch {
        // The list is taken before a segment is read. Writers fill only the last segment. If the list has a later
        // one, this one no longer grows, and reading it to its end reads all of it.
        var numbers = try files.numbers()
        var batch = RawBatch(next: cursor ?? Cursor(segment: numbers.first ?? 1, offset: 0))
        var relisted = false
        while true {
            let number = batch.next.segment
            let isClosed = numbers.last.map { $0 > number } ?? false
            let outcome: Outcome
            do { outcome = try readSegment(into: &batch, isClosed: isClosed, limit: limit) } catch {
                // The next read meets the error again. A later file that cannot be used must not hide these lines.
                guard !batch.lines.isEmpty else { throw error }
                batch.hasMore = true
                return batch
            }
            switch outcome {
            case .limitReached:
                batch.hasMore = true
                return batch
            case .endReached:
                guard let following = numbers.first(where: { $0 > number }) else { return batch }
                advance(&batch, to: following, lost: following != number + 1)
            case .missing where !relisted:
                // Retention may have removed it since the listing.
                relisted = true
                numbers = try files.numbers()
            case .missing:
                guard let following = numbers.first(where: { $0 > number }) else {
                    guard number > 1 || batch.next.offset > 0 else { return batch }  // nothing has been written
                    throw .cursorNotInLog(
                        path: files.path(number),
                        cursor: batch.next,
                        reason: "neither this segment nor a later one exists"
                    )
                }
                advance(&batch, to: following, lost: true)
            }
        }
    }

    /// Returns the line that begins at `place` and ends before `end`, in the same segment; `nil` if there is none, or it is
    /// longer than `maximum`.
    func line(at place: Cursor, before end: Cursor, atMost maximum: Int) throws(LedgerError) -> RawBatch.Line? {
        guard place < end, place.segment == end.segment,
            let file = try OpenFile.open(files.path(place.segment), flags: O_RDONLY)
        else { return nil }
        // The byte before it ends another line.
        let begin = max(0, place.offset - 1)
        let bytes = try file.read(at: begin, count: Int(min(end.offset - begin, Int64(maximum) + 2)))
        let skipped = Int(place.offset - begin)
        guard bytes.prefix(skipped).allSatisfy({ $0 == LineCodec.newline }) else { return nil }
        let rest = bytes.dropFirst(skipped)
        guard let newline = rest.firstIndex(of: LineCodec.newline) else { return nil }
        return RawBatch.Line(at: place, bytes: Array(rest[..<newline]), length: newline - rest.startIndex)
    }

    /// Advances to the beginning of a later segment; records the gap if records are missing.
    private func advance(_ batch: inout RawBatch, to number: Int, lost: Bool) {
        let expected = batch.next
        batch.next = Cursor(segment: number, offset: 0)
        guard lost else { return }
        batch.gap = LedgerGap(expected: batch.gap?.expected ?? expected, resumed: batch.next)
    }

    private enum Outcome { case limitReached, endReached, missing }

    /// Adds complete lines from `batch.next` and advances it.
    ///
    /// An incomplete last line waits for its newline if the segment may still grow; in a closed segment it is torn.
    private func readSegment(into batch: inout RawBatch, isClosed: Bool, limit: Int) throws(LedgerError) -> Outcome {
        guard let file = try OpenFile.open(files.path(batch.next.segment), flags: O_RDONLY) else { return .missing }
        try requireLineStart(batch.next, in: file)
        var bytes = batch.lines.reduce(0) { $0 + $1.bytes.count }
        var pending = PendingLine()
        while true {
            if batch.lines.count >= max(1, limit) || bytes >= Self.batchBytes { return .limitReached }
            if let line = pending.takeLine(at: batch.next) {
                bytes += line.bytes.count
                batch.next.offset += Int64(line.length + 1)
                batch.lines.append(line)
                continue
            }
            let chunk = try file.read(at: batch.next.offset + Int64(pending.length), count: Self.chunkBytes)
            if chunk.isEmpty { break }
            pending.add(chunk, keeping: Self.lineBytes)
        }
        if isClosed && pending.length > 0 {
            batch.lines.append(RawBatch.Line(at: batch.next, bytes: [], defect: .torn, length: pending.length))
            batch.next.offset += Int64(pending.length)
        }
        return .endReached
    }

    /// Throws if `cursor` cannot be a position between two lines of this file.
    ///
    /// Continuing there, or waiting for the file to grow, would silently skip records.
    private func requireLineStart(_ cursor: Cursor, in file: borrowing OpenFile) throws(LedgerError) {
        guard cursor.offset != 0 else { return }
        let before = cursor.offset > 0 ? try file.read(at: cursor.offset - 1, count: 1) : []
        if before == [LineCodec.newline] { return }
        throw .cursorNotInLog(
            path: file.path,
            cursor: cursor,
            reason: before.isEmpty
                ? "the file is only \(try file.size()) bytes long: it was replaced, or this host sees an old copy of it"
                : "no line starts there: the file was replaced"
        )
    }
}
