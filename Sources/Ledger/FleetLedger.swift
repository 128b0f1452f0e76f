// SPDX-License-Identifier: Apache-2.0
public import Fleet

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

    /// Returns up to `limit` records after `cursor` of the log that all writers of a stream share; without a cursor,
    /// from the oldest record that is kept.
    ///
    /// Never waits for new records. Throws a `LedgerError`; the cursor stays valid, so the caller can retry.
    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry>

    /// What is wrong on this host, although the ledger can be read and written; `nil` if nothing is.
    var localTrouble: String? { get }

    /// Returns the logs that hold the records of a stream; only members of the cluster have one.
    ///
    /// By default the one that all writers share.
    func logs(of stream: LedgerStream) async throws -> [LedgerLog]

    /// Like `read` without a log, for one of `logs(of:)`.
    ///
    /// The ledger may leave out lines that `selection` does not choose; they are not verified, counted or returned. By
    /// default every stream has only its shared log, and every line is returned.
    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        in log: LedgerLog,
        from cursor: Cursor?,
        limit: Int,
        selecting selection: LineSelection?
    ) async throws -> LedgerBatch<Entry>

    /// Returns a position of the log before which all records are older than `instant` by their own time, or more than
    /// a reader that needs only recent records should read; `nil`: the beginning.
    func start(of log: LedgerLog, since instant: Instant) async throws -> Cursor?
}

extension FleetLedger {
    public var localTrouble: String? { nil }

    /// Returns up to 1000 records after `cursor`.
    public func read<Entry: LedgerEntry>(_ entries: Entry.Type, from cursor: Cursor?) async throws -> LedgerBatch<Entry>
    {
        try await read(entries, from: cursor, limit: 1000)
    }

    public func logs(of stream: LedgerStream) async throws -> [LedgerLog] { [LedgerLog(stream)] }

    public func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        in log: LedgerLog,
        from cursor: Cursor?,
        limit: Int,
        selecting selection: LineSelection?
    ) async throws -> LedgerBatch<Entry> {
        try await read(entries, from: cursor, limit: limit)
    }

    public func start(of log: LedgerLog, since instant: Instant) async throws -> Cursor? { nil }
}
