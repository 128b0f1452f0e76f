// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The result of one read: records in the order in which they were appended, and every skipped line with the reason.
public struct LedgerBatch<Entry: LedgerEntry>: Sendable {
    public var records: [LedgerRecord<Entry>]
    /// Where the next read continues.
    public var next: Cursor
    /// Lines that are not records, that this version cannot read, or that were rejected.
    public var skipped: [SkippedLine]
    /// The records of `records` that this version understands only in part.
    public var notUnderstood: [SkippedLine] = []
    /// Set if records were removed before this reader reached them.
    public var gap: LedgerGap?
    /// Whether the read ended at its limit, so that more can be read immediately.
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

    /// Whether the read found no record, no skipped line and no gap.
    public var isEmpty: Bool { records.isEmpty && skipped.isEmpty && gap == nil }
}

/// A line that was skipped.
public struct SkippedLine: Sendable, Equatable, CustomStringConvertible {
    /// Where the line begins.
    public var at: Cursor
    public var bytes: Int
    /// The writer that it states; `nil` if it states none, or one that is not a member of the cluster.
    public var writer: LedgerWriter?
    public var reason: Reason

    public enum Reason: Sendable, Equatable, CustomStringConvertible {
        /// Its writer stopped before the line was complete; the append was never confirmed.
        case torn
        /// It was read, and then lost before its writer had synced it.
        case lost
        /// The line is longer than any record can be.
        case tooLong
        /// A newer version of the program wrote it.
        case unknownVersion(Int)
        /// An intact record of another version; the text states what this version does not understand.
        case notUnderstood(String)
        /// A sample that states only what has changed, and the sample before it is missing, damaged or rejected.
        case withoutBasis
        /// It is not a record of this stream; the text is the reason.
        case unreadable(String)
        /// A record that was rejected.
        case refused(RecordRefusal)

        public var description: String {
            switch self {
            case .torn: "its writer stopped before it was complete"
            case .lost:
                "the line there was read, and is gone: the storage lost it in a power cut, or someone removed it. Its writer "
                    + "writes it again if it had not been confirmed."
            case .tooLong: "it is longer than any record can be"
            case .unknownVersion(let version):
                "its format is version \(version), this program reads up to \(LineCodec.signedVersion). Update this program."
            case .notUnderstood(let what):
                "it is intact, but this program does not understand \(what): another version wrote it. Update this program."
            case .withoutBasis: "it states only what has changed since an earlier sample, which cannot be used"
            case .unreadable(let reason): reason
            case .refused(let refusal): refusal.description
            }
        }

        fileprivate var isOfVersion: Bool { if case .notUnderstood = self { true } else { false } }
    }

    public init(at: Cursor, bytes: Int, writer: LedgerWriter? = nil, reason: Reason) {
        self.at = at
        self.bytes = bytes
        self.writer = writer
        self.reason = reason
    }

    public var description: String {
        // A reason may quote the line, which anyone may have written.
        "\(reason.isOfVersion ? "not understood:" : "skipped") \(bytes) bytes at \(at)\(writer.map { " (writer: \($0))" } ?? ""): \(reason)"
            .plainText(limit: 300)
    }
}

/// Records that retention removed before a reader saw them.
public struct LedgerGap: Sendable, Equatable, CustomStringConvertible {
    /// Where the reader wanted to continue.
    public var expected: Cursor
    /// Where it could continue.
    public var resumed: Cursor

    public init(expected: Cursor, resumed: Cursor) {
        self.expected = expected
        self.resumed = resumed
    }

    public var description: String { "records from \(expected) to \(resumed) were removed before they were read" }
}
