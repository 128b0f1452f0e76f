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
        for (writer, lines) in position.takeOverflows() {
            try await readAgain(entries, lines, of: writer, &position, take: take)
        }
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

    /// Passes a writer's lines to `take` that waited for this host's clock and were too many to be listed.
    ///
    /// Those that still wait are listed now, up to the limit.
    private func readAgain<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        _ lines: ReadPosition.Overflow,
        of writer: LedgerWriter?,
        _ position: inout ReadPosition,
        take: (Entry) async -> Void
    ) async throws {
        var rest = lines
        while rest.first <= lines.last {
            let batch: LedgerBatch<Entry>
            do {
                batch = try await read(
                    entries,
                    in: LedgerLog(Entry.stream),
                    from: rest.first,
                    limit: 1000,
                    selecting: .only(upTo: lines.last)
                )
            } catch {
                position.restore(rest, of: writer)
                throw error
            }
            for record in batch.records where record.writer == writer && record.at >= lines.since {
                await take(record.body)
            }
            position.keep(batch.skipped.filter { $0.writer == writer && $0.at <= lines.last })
            rest.first = batch.next
            if !batch.hasMore { return }
        }
    }
}
