// SPDX-License-Identifier: Apache-2.0

/// The log through which agents and controllers communicate, as one writer sees it.
///
/// Appending is atomic for readers: they see a complete record, once and in order, or no record.
/// The conformance suite in `LedgerTests` states what every implementation must do.
public protocol FleetLedger: Sendable {
    /// Appends one entry in the writer's name and returns when it is durable.
    ///
    /// Throws a `LedgerError`; if its `mayBeWritten` is true, readers may find the record nevertheless. If the writer then
    /// appends the same entry again, an append that has taken effect since is confirmed and not repeated.
    func append<Entry: LedgerEntry>(_ entry: Entry) async throws

    /// Returns up to `limit` records after `cursor`; without a cursor, from the oldest record that is kept.
    ///
    /// Never waits for new records. Throws a `LedgerError`; the cursor stays valid, so the caller can retry.
    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry>

    /// What is wrong on this host, although the ledger can be read and written; `nil` if nothing is.
    var localTrouble: String? { get }
}

extension FleetLedger {
    public var localTrouble: String? { nil }

    /// Returns up to 1000 records after `cursor`.
    public func read<Entry: LedgerEntry>(_ entries: Entry.Type, from cursor: Cursor?) async throws -> LedgerBatch<Entry>
    {
        try await read(entries, from: cursor, limit: 1000)
    }
}
