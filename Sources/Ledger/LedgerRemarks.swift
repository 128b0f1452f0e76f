// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Skipped lines and gaps of the ledger, counted by stream, kind and writer.
///
/// Only the first example of each is kept, so that a flood of forged lines fills neither memory nor a log.
public struct LedgerRemarks: Sendable, Equatable, Encodable {
    /// The entries in the order of first occurrence.
    public private(set) var entries: [Entry] = []

    public struct Entry: Sendable, Equatable, Encodable, CustomStringConvertible {
        public var stream: LedgerStream
        public var kind: Kind
        /// The writer that the lines state, if it is a member of the cluster.
        public var writer: LedgerWriter?
        public var count: Int
        /// The description of the first such line or gap.
        public var example: String

        public var description: String {
            let others = count > 1 ? " (and \(count - 1) similar)" : ""
            return "\(stream): \(example)\(others)"
        }

        func isLike(_ other: Entry) -> Bool {
            stream == other.stream && kind == other.kind && writer == other.writer
        }
    }

    public enum Kind: String, Sendable, Encodable, CaseIterable {
        // Faults.
        case torn, lost, tooLong, unknownVersion, notUnderstood, withoutBasis, unreadable, gap
        /// The files of one writer's log cannot be used.
        case unusable
        // Rejected records.
        case unsigned, unknownWriter, wrongSigner, altered, wrongPlace, otherLedger, revoked, notForWriter
        case fromTheFuture

        /// Whether lines of this kind were rejected, as opposed to damaged or missing.
        public var isRefusal: Bool {
            switch self {
            case .torn, .lost, .tooLong, .unknownVersion, .notUnderstood, .withoutBasis, .unreadable, .gap, .unusable:
                false
            default: true
            }
        }
    }

    public init() {}

    public var isEmpty: Bool { entries.isEmpty }
    /// The entries about rejected records.
    public var refused: [Entry] { entries.filter(\.kind.isRefusal) }

    /// Returns the number of lines of a kind; with `writer`, only those that state this writer.
    public func count(_ kind: Kind, of writer: LedgerWriter? = nil) -> Int {
        entries.filter { $0.kind == kind && (writer == nil || $0.writer == writer) }.reduce(0) { $0 + $1.count }
    }

    public mutating func add(_ line: SkippedLine, in stream: LedgerStream) {
        add(Entry(stream: stream, kind: line.reason.kind, writer: line.writer, count: 1, example: line.description))
    }

    public mutating func add(_ gap: LedgerGap, in stream: LedgerStream) {
        add(Entry(stream: stream, kind: .gap, count: 1, example: gap.description))
    }

    /// Adds that one writer's log could not be read.
    public mutating func add(_ error: LedgerError, of log: LedgerLog) {
        let example = "\(error)".plainText(limit: 300)
        add(Entry(stream: log.stream, kind: .unusable, writer: log.writer, count: 1, example: example))
    }

    public mutating func add(_ other: LedgerRemarks) {
        for entry in other.entries { add(entry) }
    }

    mutating func remove(_ some: [Entry]) {
        entries.removeAll { entry in some.contains { $0.isLike(entry) } }
    }

    private mutating func add(_ entry: Entry) {
        if let index = entries.firstIndex(where: { $0.isLike(entry) }) {
            entries[index].count += entry.count
        } else {
            entries.append(entry)
        }
    }
}

extension LedgerBatch {
    /// The skipped lines and the gap, counted.
    public var remarks: LedgerRemarks {
        var remarks = LedgerRemarks()
        for line in skipped + notUnderstood { remarks.add(line, in: Entry.stream) }
        if let gap { remarks.add(gap, in: Entry.stream) }
        return remarks
    }
}

extension SkippedLine.Reason {
    var kind: LedgerRemarks.Kind {
        switch self {
        case .torn: .torn
        case .lost: .lost
        case .tooLong: .tooLong
        case .unknownVersion: .unknownVersion
        case .notUnderstood: .notUnderstood
        case .withoutBasis: .withoutBasis
        case .unreadable: .unreadable
        case .refused(let refusal):
            switch refusal {
            case .unsigned: .unsigned
            case .unknownWriter: .unknownWriter
            case .wrongSigner: .wrongSigner
            case .altered: .altered
            case .wrongPlace: .wrongPlace
            case .otherLedger: .otherLedger
            case .revoked: .revoked
            case .notForWriter: .notForWriter
            case .fromTheFuture: .fromTheFuture
            }
        }
    }
}
