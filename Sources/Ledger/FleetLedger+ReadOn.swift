// SPDX-License-Identifier: Apache-2.0

extension FleetLedger {
    /// Hands over everything after `cursor` that counts, batch by batch, and moves the cursor on.
    ///
    /// Returns what was passed over.
    public func readOn<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: inout Cursor?,
        take: (Entry) -> Void
    ) async throws -> LedgerRemarks {
        var remarks = LedgerRemarks()
        while true {
            let batch = try await read(entries, from: cursor)
            for record in batch.records { take(record.body) }
            remarks.add(batch.remarks)
            cursor = batch.next
            if !batch.hasMore { return remarks }
        }
    }
}
