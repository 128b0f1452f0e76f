// SPDX-License-Identifier: Apache-2.0

extension FleetLedger {
    /// Hands over everything after `place` that counts, batch by batch, and moves the place on.
    ///
    /// First come records that it passed over before because they were ahead of the clock here, and no longer are.
    /// Returns what was passed over.
    public func readOn<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from place: inout LedgerPlace,
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
