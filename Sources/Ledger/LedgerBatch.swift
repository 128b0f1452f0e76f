// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What one read found: records in the order in which they were appended, and all that was left out, with the reason.
public struct LedgerBatch<Entry: LedgerEntry>: Sendable {
    public var records: [LedgerRecord<Entry>]
    /// Where the next read goes on.
    public var next: Cursor
    /// Lines that are no records, none this version can read, or records that do not count.
    public var skipped: [SkippedLine]
    /// Set when records were removed before this reader came to them.
    public var gap: LedgerGap?
    /// Whether the read ended at its limit, so that more can be read at once.
    public var hasMore: Bool

    public init(
        records: [LedgerRecord<Entry>] = [],
        next: Cursor,
        skipped: [SkippedLine] = [],
        gap: LedgerGap? = nil,
        hasMore: Bool = false
    ) {
        self.records = records
        self.next = next
        self.skipped = skipped
        self.gap = gap
        self.hasMore = hasMore
    }

    /// Whether the read brought nothing at all to its reader's knowledge.
    public var isEmpty: Bool { records.isEmpty && skipped.isEmpty && gap == nil }
}

/// A line that was passed over.
public struct SkippedLine: Sendable, Equatable, CustomStringConvertible {
    /// Where the line begins.
    public var at: Cursor
    public var bytes: Int
    /// Whom it names as its writer; `nil` where it names nobody, or no member of the cluster.
    public var writer: LedgerWriter?
    public var reason: Reason

    public enum Reason: Sendable, Equatable, CustomStringConvertible {
        /// Its writer was stopped in the middle; the append was never confirmed.
        case torn
        /// Longer than any record can be.
        case tooLong
        /// Written by a newer version of the program.
        case unknownVersion(Int)
        /// No record of this stream; why, in words.
        case unreadable(String)
        /// A record that does not count.
        case refused(RecordRefusal)

        public var description: String {
            switch self {
            case .torn: "its writer stopped before it was complete"
            case .tooLong: "it is longer than any record can be"
            case .unknownVersion(let version):
                "its format is version \(version), this program reads up to \(LineCodec.signedVersion). Update this program."
            case .unreadable(let reason): reason
            case .refused(let refusal): refusal.description
            }
        }
    }

    public init(at: Cursor, bytes: Int, writer: LedgerWriter? = nil, reason: Reason) {
        self.at = at
        self.bytes = bytes
        self.writer = writer
        self.reason = reason
    }

    public var description: String {
        // A reason may quote the line, which is in anybody's words.
        "skipped \(bytes) bytes at \(at)\(writer.map { " (writer: \($0))" } ?? ""): \(reason)".plainText(limit: 300)
    }
}

/// Records that a reader never saw, because retention removed them first.
public struct LedgerGap: Sendable, Equatable, CustomStringConvertible {
    /// Where the reader wanted to go on.
    public var expected: Cursor
    /// Where it could go on.
    public var resumed: Cursor

    public init(expected: Cursor, resumed: Cursor) {
        self.expected = expected
        self.resumed = resumed
    }

    public var description: String { "records from \(expected) to \(resumed) were removed before they were read" }
}
