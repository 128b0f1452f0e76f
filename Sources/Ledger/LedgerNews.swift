// SPDX-License-Identifier: Apache-2.0

/// Everything that has come to one stream, as far as it may count.
public struct LedgerNews<Entry: LedgerEntry>: Sendable {
    /// Records whose writer may say what they say.
    public var records: [LedgerRecord<Entry>] = []
    /// Where the next read goes on.
    public var next: Cursor?
    /// What was passed over, and why, in words.
    public var warnings: [String] = []
}

extension FleetLedger {
    /// Everything after `cursor`: a sample or report counts only from the host it is of, an order only from its issuer.
    public func readAll<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?
    ) async throws -> LedgerNews<Entry> {
        var news = LedgerNews<Entry>(next: cursor)
        while true {
            let batch = try await read(entries, from: news.next)
            for record in batch.records {
                if record.body.mayBeWritten(by: record.writer) {
                    news.records.append(record)
                } else {
                    news.warnings.append(
                        "\(Entry.stream): what \(record.writer) wrote is not for it to say: not counted"
                    )
                }
            }
            news.warnings += batch.skipped.map { "\(Entry.stream): \($0)" }
            if let gap = batch.gap { news.warnings.append("\(Entry.stream): \(gap)") }
            news.next = batch.next
            if !batch.hasMore { return news }
        }
    }
}
