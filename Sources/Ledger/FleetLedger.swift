// SPDX-License-Identifier: Apache-2.0

/// The one log through which agents and controllers meet, as one writer sees it.
///
/// Appending is all or nothing as far as readers can tell: they see a record whole, once and in its place, or not at
/// all. What every implementation must do is written down as the conformance suite in `LedgerTests`.
public protocol FleetLedger: Sendable {
    /// Appends one entry in the writer's name and returns when it is durable.
    ///
    /// Throws a `LedgerError`; where its `mayBeWritten` is true, readers may yet find the record.
    func append<Entry: LedgerEntry>(_ entry: Entry) async throws

    /// The records after `cursor`, at most `limit` of them; from the oldest one that is kept when there is no cursor.
    ///
    /// Never waits for records to come. Throws a `LedgerError`; the cursor stays good, so the caller can try again.
    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry>
}

extension FleetLedger {
    /// Up to 1000 records after `cursor`.
    public func read<Entry: LedgerEntry>(_ entries: Entry.Type, from cursor: Cursor?) async throws -> LedgerBatch<Entry>
    {
        try await read(entries, from: cursor, limit: 1000)
    }
}
