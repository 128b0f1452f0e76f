// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Limits messages about skipped records to one per minute for each stream, kind and writer.
///
/// Records that are not understood stay so until an update: they are logged once a day.
public struct RemarkLog: Sendable {
    private static let interval: Duration = .seconds(60)
    private static let longInterval: Duration = .seconds(86400)

    private var waiting = LedgerRemarks()
    private var loggedAt: [Key: Instant] = [:]

    private struct Key: Hashable {
        var stream: LedgerStream
        var kind: LedgerRemarks.Kind
        var writer: LedgerWriter?
    }

    public init() {}

    /// Returns the entries to log now, from these and from those held back.
    public mutating func due(_ remarks: LedgerRemarks, at instant: Instant) -> [LedgerRemarks.Entry] {
        waiting.add(remarks)
        let due = waiting.entries.filter { entry in
            let said = loggedAt[Key(stream: entry.stream, kind: entry.kind, writer: entry.writer)]
            // A clock that was set back must not suppress messages.
            let interval = entry.kind == .notUnderstood ? Self.longInterval : Self.interval
            return said.map { instant < $0 || instant >= $0 + interval } ?? true
        }
        for entry in due { loggedAt[Key(stream: entry.stream, kind: entry.kind, writer: entry.writer)] = instant }
        waiting.remove(due)
        return due
    }
}
