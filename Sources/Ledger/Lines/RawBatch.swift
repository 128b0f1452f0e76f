// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Synchronization

/// Lines as the log holds them, before they are decoded.
struct RawBatch: Sendable {
    var lines: [Line] = []
    var next: Cursor
    var gap: LedgerGap?
    var hasMore = false

    struct Line: Sendable {
        var at: Cursor
        /// Without the newline.
        var bytes: [UInt8]
        /// Set if the log already knows that the line is not a record.
        var defect: SkippedLine.Reason?
        /// The length in the log, also if `bytes` were not kept.
        var length: Int
    }

    /// Returns the line that begins at this position; `nil` if none of these does.
    func line(at place: Cursor) -> Line? {
        var (low, high) = (0, lines.count)
        while low < high {
            let middle = low + (high - low) / 2
            if lines[middle].at < place { low = middle + 1 } else { high = middle }
        }
        return low < lines.count && lines[low].at == place ? lines[low] : nil
    }

    /// Returns the records among the lines; everything else is listed as skipped.
    ///
    /// `changes` completes the samples of lines that state only what has changed.
    func decoded<Entry: LedgerEntry>(
        as entries: Entry.Type,
        by reader: LineReader,
        completing changes: inout SampleExpansion
    ) throws(LedgerError) -> LedgerBatch<Entry> {
        var batch = LedgerBatch<Entry>(next: next, gap: gap, hasMore: hasMore)
        for (line, result) in zip(lines, results(as: entries, by: reader)) {
            let read: ReadRecord<Entry>
            switch result {
            case .success(let record): read = record
            case .failure(let noRecord):
                batch.skipped.append(noRecord.line)
                continue
            }
            func remark(_ reason: SkippedLine.Reason) -> SkippedLine {
                SkippedLine(at: line.at, bytes: line.length, writer: read.writer, reason: reason)
            }
            switch read.body {
            case .whole(let entry):
                changes.note(entry, of: line)
                batch.records.append(LedgerRecord(writer: read.writer, at: read.at, body: entry))
                if let what = entry.notUnderstood { batch.notUnderstood.append(remark(.notUnderstood(what))) }
            case .change(let body):
                guard let sample = try changes.sample(body, at: line.at) as? Entry else {
                    batch.skipped.append(remark(.withoutBasis))
                    continue
                }
                batch.records.append(LedgerRecord(writer: read.writer, at: read.at, body: sample))
            }
        }
        return batch
    }

    private typealias Results<Entry: LedgerEntry> = [Result<ReadRecord<Entry>, LineReader.NoRecord>]

    /// Number of lines that one task decodes.
    private static let share = 64

    /// Decodes on all processors if there are many lines: verifying and decoding takes about 0.1 ms per line.
    private func results<Entry: LedgerEntry>(as entries: Entry.Type, by reader: LineReader) -> Results<Entry> {
        guard lines.count > Self.share else { return lines.map { reader.read($0, as: entries) } }
        let shares = (lines.count + Self.share - 1) / Self.share
        let found = Mutex<[Results<Entry>]>(Array(repeating: [], count: shares))
        DispatchQueue.concurrentPerform(iterations: shares) { share in
            let range = share * Self.share..<min(lines.count, (share + 1) * Self.share)
            let results = lines[range].map { reader.read($0, as: entries) }
            found.withLock { $0[share] = results }
        }
        return found.withLock { $0.flatMap { $0 } }
    }
}
