// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
public import HostOS
public import Fleet

/// The ledger as append-only files in a folder on shared storage.
///
/// It needs only the file system and its locks. `docs/ledger-format.md` describes the format.
public final class SharedLog: FleetLedger {
    /// Options for writing; all writers of one log should use the same.
    public struct Options: Sendable {
        /// Maximum time for which an append waits for other writers, at all its locks together.
        public var lockWait: Duration = .seconds(10)
        /// Maximum duration of an append or a read; only storage that hangs takes longer.
        public var timeLimit: Duration = LedgerMarks.appendLimit
        /// Maximum size of a record in bytes.
        public var maximumRecordBytes = 1 << 20
        /// Maximum size of a segment in bytes.
        public var segmentBytes = 4 << 20
        /// How much of each log is kept; of samples, for each writer.
        public var retention: [LedgerStream: Retention] = [
            .load: Retention(age: .seconds(7 * 86400), bytes: 64 << 20),
            .orders: Retention(age: .seconds(30 * 86400), bytes: 256 << 20),
            .reports: Retention(age: .seconds(30 * 86400), bytes: 256 << 20),
        ]

        /// Returns the version of NFS with which a folder is mounted; for tests.
        var nfsVersion: @Sendable (String) -> String? = { FileSystem(of: $0)?.nfsVersion }

        public init() {}
    }

    /// The folder's path.
    public let folder: String
    private let writer: LedgerWriter
    private let options: Options
    private let now: @Sendable () -> Instant
    private let trust: LedgerTrust
    private let unconfirmed = UnconfirmedAppends()
    private let lastWhole = LastWholeSample()
    private let bases = SampleBases()
    private let crowded = CrowdedFolders()
    private let appending = AppendQueues()
    private let reading = ReadQueues()

    /// Opens the log in `folder`, which `create(folder:)` created, for `writer`.
    ///
    /// Accesses no file yet: the first append or read fails if the storage is not mounted, and the next one may
    /// succeed. With `marks`, a log that was rolled back since then is neither read nor written.
    public init(
        folder: String,
        writer: LedgerWriter,
        security: LedgerSecurity,
        marks: LedgerMarks? = nil,
        options: Options = Options(),
        now: @escaping @Sendable () -> Instant = { .now }
    ) {
        self.folder = folder
        self.writer = writer
        self.options = options
        self.now = now
        trust = LedgerTrust(folder: folder, security: security, marks: marks, nfsVersion: options.nfsVersion)
    }

    public func append<Entry: LedgerEntry>(_ entry: Entry) async throws {
        let record = LedgerRecord(writer: writer, at: now(), body: entry)
        let log = Entry.stream.log(of: writer)
        let appender = SegmentAppender(
            files: SegmentFiles(ledger: folder, log: log, crowded: crowded),
            segmentBytes: Int64(options.segmentBytes),
            retention: options.retention[Entry.stream] ?? Retention(age: .seconds(30 * 86400), bytes: 256 << 20),
            orders: Entry.stream == .reports ? SegmentFiles(folder: folder, stream: .orders) : nil,
            lockWait: options.lockWait
        )
        let mark = try await Blocking.run(within: options.timeLimit, on: appending[Entry.stream], late: stalled) {
            [trust, unconfirmed, lastWhole, limit = options.maximumRecordBytes] () throws(LedgerError) in
            try trust.checkStorage()
            let basis = Entry.stream == .load ? lastWhole.take() : nil
            let signer = try trust.signer(for: record.writer)
            let draft = try LineCodec.draft(record, signer: signer, limit: limit, since: basis)
            try trust.checkMarks()
            let earlier = unconfirmed.mark(of: draft.body, in: Entry.stream)
            let mark = try trust.noting(log, earlier: earlier) { () throws(LedgerError) in
                let mark = try appender.append(draft)
                unconfirmed.written(draft.body, mark, in: Entry.stream)
                return mark
            }
            if earlier == nil { lastWhole.keep(basis, after: record.body, written: draft, mark) }
            return mark
        }
        unconfirmed.confirmed(mark, in: Entry.stream)
    }

    /// What is wrong with the ledger's folders, as far as they have been listed; `nil` if nothing is.
    public var folderTrouble: String? { crowded.trouble }

    public var localTrouble: String? {
        let troubles = [trust.localTrouble, folderTrouble].compactMap(\.self)
        return troubles.isEmpty ? nil : troubles.joined(separator: " ")
    }

    public func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        try await read(entries, in: LedgerLog(Entry.stream), from: cursor, limit: limit, selecting: nil)
    }

    public func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        in log: LedgerLog,
        from cursor: Cursor?,
        limit: Int,
        selecting selection: LineSelection?
    ) async throws -> LedgerBatch<Entry> {
        let reader = SegmentReader(files: SegmentFiles(ledger: folder, log: log, crowded: crowded))
        return try await Blocking.run(within: options.timeLimit, on: reading[log], late: stalled) {
            [trust, now, writer, bases] () throws(LedgerError) in
            try trust.checkStorage()
            try trust.checkMarks()
            let lines = try trust.noting(log, from: cursor, limit: limit, by: reader)
            let lineReader = LineReader(verifier: try trust.verifier(), now: now(), reader: writer, log: log)
            var changes = SampleExpansion(reader: lineReader, basis: bases[log]) { place, end throws(LedgerError) in
                // The selection may have left it out.
                if let line = lines.line(at: place) { return line }
                return try reader.line(at: place, before: end, atMost: SampleBasis.longestLine)
            }
            let batch = try lines.selecting(selection, by: lineReader).decoded(
                as: entries,
                by: lineReader,
                completing: &changes
            )
            if entries.stream == .load { bases[log] = changes.basis }
            return batch
        }
    }

    public func logs(of stream: LedgerStream) async throws -> [LedgerLog] {
        try await Blocking.run(within: options.timeLimit, on: reading[LedgerLog(stream)], late: stalled) {
            [folder, trust, crowded] () throws(LedgerError) in
            try Self.logs(of: stream, in: folder, trust: trust, crowded: crowded)
        }
    }

    public func start(of log: LedgerLog, since instant: Instant) async throws -> Cursor? {
        let reader = SegmentReader(files: SegmentFiles(ledger: folder, log: log, crowded: crowded))
        return try await Blocking.run(within: options.timeLimit, on: reading[log], late: stalled) {
            () throws(LedgerError) in try reader.start(since: instant)
        }
    }

    /// Returns the beginning of the next segment of a log after `cursor`, or after its oldest segment; `nil` if none
    /// exists.
    ///
    /// So that a segment that cannot be used does not hide those after it.
    public func segment(after cursor: Cursor?, in log: LedgerLog) async throws -> Cursor? {
        let files = SegmentFiles(ledger: folder, log: log, crowded: crowded)
        return try await Blocking.run(within: options.timeLimit, on: reading[log], late: stalled) {
            () throws(LedgerError) in
            let numbers = try files.numbers()
            let number = cursor?.segment ?? numbers.first ?? 0
            return numbers.first { $0 > number }.map { Cursor(segment: $0, offset: 0) }
        }
    }

    private var stalled: @Sendable (Bool) -> LedgerError {
        { [folder, options] begun in
            .stalled(path: folder, waited: options.timeLimit, mayBeWritten: begun)
        }
    }
}

/// A few queues, so that the logs of many writers are read on all processors, and dead storage blocks few threads.
private struct ReadQueues {
    private let shared = DispatchQueue(label: "evenkeel.ledger.read")
    private let ofWriters = (0..<4).map { DispatchQueue(label: "evenkeel.ledger.read.\($0)") }

    subscript(log: LedgerLog) -> DispatchQueue {
        guard let writer = log.writer else { return shared }
        let sum = writer.description.utf8.reduce(0) { $0 &+ Int($1) }
        return ofWriters[sum % ofWriters.count]
    }
}

/// One queue per stream, so that a lock held on one stream does not block the others.
private struct AppendQueues {
    private let load = DispatchQueue(label: "evenkeel.ledger.append.load")
    private let orders = DispatchQueue(label: "evenkeel.ledger.append.orders")
    private let reports = DispatchQueue(label: "evenkeel.ledger.append.reports")

    subscript(stream: LedgerStream) -> DispatchQueue {
        switch stream {
        case .load: load
        case .orders: orders
        case .reports: reports
        }
    }
}
