// SPDX-License-Identifier: Apache-2.0

extension FleetLedger {
    /// Passes every valid record after `position` in the log that all writers share to `take`, batch by batch, and
    /// advances the position.
    ///
    /// First come the records that had waited for this host's clock. Returns the skipped lines and gaps.
    func readNew<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from position: inout ReadPosition,
        selecting selection: LineSelection? = nil,
        take: (Entry) async -> Void
    ) async throws -> LedgerRemarks {
        var remarks = LedgerRemarks()
        for record in try await position.due(entries, of: LedgerLog(Entry.stream), in: self) { await take(record.body) }
        while true {
            let batch = try await read(
                entries,
                in: LedgerLog(Entry.stream),
                from: position.next,
                limit: 1000,
                selecting: selection
            )
            for record in batch.records { await take(record.body) }
            remarks.add(batch.remarks)
            position.keep(batch.skipped)
            position.next = batch.next
            if !batch.hasMore { return remarks }
        }
    }
}
