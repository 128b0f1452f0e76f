// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Verifies the log for one opening: whose records are valid, and that the log was not rolled back or replaced.
///
/// It reads files, so only the log's own queues call it.
final class LedgerTrust: Sendable {
    private let folder: String
    private let security: LedgerSecurity
    private let marks: LedgerMarks?
    private let nfsVersion: @Sendable (String) -> String?
    /// Whether the storage was found to be suitable.
    private let isSuitable = Mutex(false)
    private let file = Mutex<LedgerMarker?>(nil)
    private let verifiers = RecordVerifier.Cache()
    /// Whether the marks were found in the log, with no sign since then that they have disappeared.
    private let isChecked = Mutex(false)
    /// Why this writer's own samples were lost; `nil` once a new one was written.
    private let lostSamples = Mutex<String?>(nil)

    /// `nfsVersion` returns the version of NFS with which a folder is mounted.
    init(
        folder: String,
        security: LedgerSecurity,
        marks: LedgerMarks?,
        nfsVersion: @escaping @Sendable (String) -> String?
    ) {
        self.folder = folder
        self.security = security
        self.marks = marks
        self.nfsVersion = nfsVersion
    }

    /// Throws `.unsuitableNFS` if the storage cannot hold a ledger.
    ///
    /// Checks it with the first access and not at the start of the program, because it may be mounted later.
    func checkStorage() throws(LedgerError) {
        guard !isSuitable.withLock({ $0 }) else { return }
        if let version = nfsVersion(folder), version.hasPrefix("3") || version.hasPrefix("2") {
            throw .unsuitableNFS(path: folder, version: version)
        }
        // A folder that is not mounted yet is not a ledger.
        if FolderListing.contains("\(folder)/\(SharedLog.markerName)") { isSuitable.withLock { $0 = true } }
    }

    func signer(for writer: LedgerWriter) throws(LedgerError) -> LineSigner? {
        try security.signer(for: writer, ledger: ledgerID)
    }

    /// Returns the verifier for the current roster; `nil` for an unsigned ledger.
    func verifier() throws(LedgerError) -> RecordVerifier? {
        guard case .signed(_, let roster) = security else { return nil }
        return verifiers.verifier(ledger: try ledgerID(), roster: roster())
    }

    /// The members whose records can be valid, in the order of the roster; `nil` for an unsigned ledger.
    var writingMembers: [LedgerWriter]? {
        guard case .signed(_, let roster) = security else { return nil }
        return roster().members.filter { $0.revocation == nil }.map(\.name)
    }

    private func ledgerID() throws(LedgerError) -> String {
        guard let id = try ledgerFile().id else { throw .withoutIdentity(path: "\(folder)/\(SharedLog.markerName)") }
        return id
    }

    private func ledgerFile() throws(LedgerError) -> LedgerMarker {
        if let known = file.withLock({ $0 }) { return known }
        let read = try LedgerMarker.read(in: folder)
        file.withLock { $0 = read }
        return read
    }

    /// Throws `.rolledBack` if the log lacks a marked line.
    func checkMarks() throws(LedgerError) {
        guard let marks else { return }
        let result = isChecked.withLock { isChecked in
            Result { () throws(LedgerError) in
                if isChecked { return }
                // Do not use the cached file: the ledger may have been replaced.
                let ledger = try LedgerMarker.read(in: folder)
                let verifier = try verifier()
                try marks.check(ledger: ledger.id) { log, mark throws(LedgerError) in
                    // Samples grant nothing: losing them must not stop the host. `append` checks them.
                    if log.stream != .load { try require(mark, in: log, verifier) }
                }
                isChecked = true
            }
        }
        try result.get()
    }

    private func require(
        _ mark: LedgerMark,
        in log: LedgerLog,
        _ verifier: RecordVerifier?
    ) throws(LedgerError) {
        try SegmentReader(files: SegmentFiles(ledger: folder, log: log)).requireLine(mark) { line in
            verifier?.isGenuine(line, in: log) ?? true
        }
    }

    /// Reads, and records how far; throws `.rolledBack` if the starting position no longer exists.
    ///
    /// If only the last line that was read is lost, and its writer may not have synced it, the read continues in its
    /// place, and the batch states the loss.
    ///
    /// Samples of others have no marks. They grant nothing, an old one counts for nothing, and a host whose file is lost
    /// must not stop the others.
    func noting(
        _ log: LedgerLog,
        from cursor: Cursor?,
        limit: Int,
        by reader: SegmentReader
    ) throws(LedgerError) -> RawBatch {
        guard let marks, log.stream != .load else { return try reader.read(from: cursor, limit: limit) }
        do {
            var lost: FreshLine?
            if let fresh = marks.fresh(in: log), try !reader.has(fresh) {
                // Whoever reads on from behind the line learns of its loss; until then nothing is marked.
                guard let cursor, cursor > fresh.mark.at else { return try reader.read(from: cursor, limit: limit) }
                lost = fresh
            }
            var batch = try reader.read(from: lost?.mark.at ?? cursor, limit: limit)
            if let lost {
                marks.forgetFresh(in: log)
                batch.lines.insert(RawBatch.Line(at: lost.mark.at, bytes: [], defect: .lost, length: 0), at: 0)
            }
            marks.note(batch, in: log)
            marks.saveIfStale()
            return batch
        } catch {
            guard case .cursorNotInLog(let path, let cursor, let reason) = error else { throw error }
            isChecked.withLock { $0 = false }
            throw .rolledBack(path: path, reason: "it no longer has position \(cursor): \(reason)")
        }
    }

    /// Appends a line and records its mark; except for samples, the mark is durable on return.
    ///
    /// `earlier`: the mark of the same entry, if an append that was not confirmed has written it: then only the mark is
    /// saved.
    func noting(
        _ log: LedgerLog,
        earlier: LedgerMark?,
        append: () throws(LedgerError) -> LedgerMark
    ) throws(LedgerError) -> LedgerMark {
        if let earlier {
            try save(earlier, in: log)
            return earlier
        }
        if log.stream == .load { return try notingSample(log, append: append) }
        // Read before appending: afterwards other writers may have appended, and the reader may have seen that.
        let furthest = marks?.furthest(in: log)
        let mark = try append()
        guard marks != nil else { return mark }
        if let furthest, mark.at <= furthest.at {
            isChecked.withLock { $0 = false }
            throw .rolledBack(
                path: "the log \(log)",
                reason: "it ended at \(mark.at), although a line was seen at \(furthest.at)",
                mayBeWritten: true
            )
        }
        try save(mark, in: log)
        return mark
    }

    /// Appends a sample; its mark may be lost, and a log that lacks the marked line continues.
    private func notingSample(
        _ log: LedgerLog,
        append: () throws(LedgerError) -> LedgerMark
    ) throws(LedgerError) -> LedgerMark {
        let furthest = marks?.furthest(in: log)
        let mark = try append()
        guard let marks else { return mark }
        if let furthest, mark.at <= furthest.at {
            let reason = "it ended at \(mark.at), although a line was seen at \(furthest.at)"
            lostSamples.withLock {
                $0 =
                    "this host's samples in the log \(log) were removed or rolled back: \(reason). Find out who changed it."
            }
            marks.reset(mark, in: log)
        } else {
            marks.note(mark, in: log)
            lostSamples.withLock { $0 = nil }
        }
        marks.saveIfStale()
        return mark
    }

    private func save(_ mark: LedgerMark, in log: LedgerLog) throws(LedgerError) {
        guard let marks else { return }
        marks.note(mark, in: log)
        guard log.stream != .load else { return marks.saveIfStale() }
        do throws(LedgerError) { try marks.save() } catch {
            throw .markNotSaved(path: marks.path, reason: error.cause)
        }
    }

    /// What is wrong on this host, although the ledger can be used.
    var localTrouble: String? { marksTrouble ?? lostSamples.withLock { $0 } }

    /// Why the marks cannot be saved; `nil` if they can.
    private var marksTrouble: String? {
        guard let marks, let failure = marks.failure else { return nil }
        return
            "cannot save how far the ledger was read in \(marks.path): \(failure.cause). Make room there, or make the "
            + "file system writable."
    }
}
