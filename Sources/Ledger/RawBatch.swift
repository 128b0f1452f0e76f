// SPDX-License-Identifier: Apache-2.0

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
    func decoded<Entry: LedgerEntry>(as entries: Entry.Type) -> LedgerBatch<Entry> {
        var batch = LedgerBatch<Entry>(next: next, gap: gap, hasMore: hasMore)
        for line in lines {
            let result =
                line.defect.map { .failure(LineCodec.Unreadable(reason: $0)) }
                ?? LineCodec.decode(line.bytes, as: entries)
            switch result {
            case .success(let record):
                batch.records.append(record)
            case .failure(let unreadable):
                batch.skipped.append(SkippedLine(at: line.at, bytes: line.length, reason: unreadable.reason))
            }
        }
        return batch
    }
}
