// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Says what was passed over at most once a minute for each stream, kind and writer, whatever the flood.
public struct RemarkLog: Sendable {
    private static let interval: Duration = .seconds(60)

    private var waiting = LedgerRemarks()
    private var saidAt: [Key: Instant] = [:]

    private struct Key: Hashable {
        var stream: LedgerStream
        var kind: LedgerRemarks.Kind
        var writer: LedgerWriter?
    }

    public init() {}

    /// What is to be said now of these and of those that waited.
    public mutating func due(_ remarks: LedgerRemarks, at instant: Instant) -> [LedgerRemarks.Entry] {
        waiting.add(remarks)
        let due = waiting.entries.filter { entry in
            let said = saidAt[Key(stream: entry.stream, kind: entry.kind, writer: entry.writer)]
            // A clock that was set back must not silence anything.
            return said.map { instant < $0 || instant >= $0 + Self.interval } ?? true
        }
        for entry in due { saidAt[Key(stream: entry.stream, kind: entry.kind, writer: entry.writer)] = instant }
        waiting.remove(due)
        return due
    }
}
