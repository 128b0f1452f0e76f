// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Synchronization

/// Lines as a log holds them, before anything is made of them.
struct RawBatch: Sendable {
    var lines: [Line] = []
    var next: Cursor
    var gap: LedgerGap?
    var hasMore = false

    struct Line: Sendable {
        var at: Cursor
        /// Without the newline.
        var bytes: [UInt8]
        /// Set where the log already knows that it is no record.
        var defect: SkippedLine.Reason?
        /// The length on the log, where `bytes` were not kept.
        var length: Int
    }

    /// The records among the lines; everything else is listed as skipped.
    func decoded<Entry: LedgerEntry>(as entries: Entry.Type, by reader: LineReader) -> LedgerBatch<Entry> {
        var batch = LedgerBatch<Entry>(next: next, gap: gap, hasMore: hasMore)
        for result in results(as: entries, by: reader) {
            switch result {
            case .success(let record): batch.records.append(record)
            case .failure(let noRecord): batch.skipped.append(noRecord.line)
            }
        }
        return batch
    }

    private typealias Results<Entry: LedgerEntry> = [Result<LedgerRecord<Entry>, LineReader.NoRecord>]

    /// So many lines are worth a processor of their own.
    private static let share = 64

    /// On all processors where there are many lines: each is worth some 0.1 ms of verifying and decoding.
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
