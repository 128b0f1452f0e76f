// SPDX-License-Identifier: Apache-2.0

extension FleetLedger {
    /// Hands over everything after `cursor` that may count, batch by batch, and moves the cursor on.
    ///
    /// A sample or report counts only from the host it is of, an order only from its issuer. Returns what was passed
    /// over, and why, in words.
    public func readOn<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: inout Cursor?,
        take: (Entry) -> Void
    ) async throws -> [String] {
        var warnings: [String] = []
        while true {
            let batch = try await read(entries, from: cursor)
            for record in batch.records {
                if record.body.mayBeWritten(by: record.writer) {
                    take(record.body)
                } else {
                    warnings.append("\(Entry.stream): what \(record.writer) wrote is not for it to say: not counted")
                }
            }
            warnings += batch.skipped.map { "\(Entry.stream): \($0)" }
            if let gap = batch.gap { warnings.append("\(Entry.stream): \(gap)") }
            cursor = batch.next
            if !batch.hasMore { return warnings }
        }
    }
}
