// SPDX-License-Identifier: Apache-2.0

extension FleetLedger {
    /// Passes every valid record after `place` to `take`, batch by batch, and advances the place.
    ///
    /// Records that were ahead of this host's clock and no longer are come first. Returns the skipped lines and gaps.
    func readNew<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from place: inout ReadPosition,
        take: (Entry) async -> Void
    ) async throws -> LedgerRemarks {
        var remarks = LedgerRemarks()
        for record in try await place.due(entries, in: self) { await take(record.body) }
        while true {
            let batch = try await read(entries, from: place.next)
            for record in batch.records { await take(record.body) }
            remarks.add(batch.remarks)
            place.keep(batch.skipped)
            place.next = batch.next
            if !batch.hasMore { return remarks }
        }
    }
}
