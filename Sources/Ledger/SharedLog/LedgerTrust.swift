// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// What one opening of the log believes: whose records count, and that the log is still the one seen before.
///
/// Called on the log's own queues only, because it reads files.
final class LedgerTrust: Sendable {
    private let folder: String
    private let security: LedgerSecurity
    private let marks: LedgerMarks?
    private let file = Mutex<LedgerFile?>(nil)
    private let verifiers = RecordVerifier.Cache()
    /// Whether the marks have been found in the log, and no reason was met since to doubt that they still are.
    private let isChecked = Mutex(false)

    init(folder: String, security: LedgerSecurity, marks: LedgerMarks?) {
        self.folder = folder
        self.security = security
        self.marks = marks
    }

    func signer(for writer: LedgerWriter) throws(LedgerError) -> LineSigner? {
        try security.signer(for: writer, ledger: ledgerID)
    }

    /// `nil` for an unsigned ledger.
    func verifier() throws(LedgerError) -> RecordVerifier? {
        guard case .signed(_, let roster) = security else { return nil }
        return verifiers.verifier(ledger: try ledgerID(), roster: roster())
    }

    private func ledgerID() throws(LedgerError) -> String {
        guard let id = try ledgerFile().id else { throw .withoutIdentity(path: "\(folder)/\(SharedLog.markerName)") }
        return id
    }

    private func ledgerFile() throws(LedgerError) -> LedgerFile {
        if let known = file.withLock({ $0 }) { return known }
        let read = try LedgerFile.read(in: folder)
        file.withLock { $0 = read }
        return read
    }

    /// Throws `.rolledBack` where the log lacks what the marks say was there.
    func checkMarks() throws(LedgerError) {
        guard let marks else { return }
        let result = isChecked.withLock { isChecked in
            Result { () throws(LedgerError) in
                if isChecked { return }
                // Not the one that is remembered: the ledger may be another by now.
                let ledger = try LedgerFile.read(in: folder)
                let verifier = try verifier()
                try marks.check(ledger: ledger.id) { [folder] stream, mark throws(LedgerError) in
                    try SegmentReader(files: SegmentFiles(folder: folder, stream: stream)).requireLine(mark) { line in
                        verifier?.isGenuine(line, in: stream) ?? true
                    }
                }
                isChecked = true
            }
        }
        try result.get()
    }

    /// Notes how far a read has come; the place it began at not being there means that the log was set back.
    func noting(
        _ stream: LedgerStream,
        read: () throws(LedgerError) -> RawBatch
    ) throws(LedgerError) -> RawBatch {
        guard let marks else { return try read() }
        do {
            let batch = try read()
            marks.note(batch.lastMark, in: stream)
            try marks.saveFromTimeToTime()
            return batch
        } catch {
            guard case .cursorNotInLog(let path, let cursor, let reason) = error else { throw error }
            isChecked.withLock { $0 = false }
            throw .rolledBack(path: path, reason: "it no longer has position \(cursor): \(reason)")
        }
    }

    /// Appends a line, notes it, and makes that durable where more than a sample depends on it.
    func noting(
        _ stream: LedgerStream,
        append: () throws(LedgerError) -> LedgerMark
    ) throws(LedgerError) {
        // Before appending: afterwards others may have written behind it, and the reader have seen that.
        let furthest = marks?.furthest(in: stream)
        let mark = try append()
        guard let marks else { return }
        if let furthest, mark.at <= furthest.at {
            isChecked.withLock { $0 = false }
            throw .rolledBack(
                path: "the stream \(stream)",
                reason: "it ended at \(mark.at), although a line was seen at \(furthest.at)",
                mayBeWritten: true
            )
        }
        marks.note(mark, in: stream)
        do throws(LedgerError) {
            if stream == .load { try marks.saveFromTimeToTime() } else { try marks.save() }
        } catch {
            // The line is in the log: only this host's note of it is missing.
            throw .failed(operation: "record an append in", path: marks.path, reason: "\(error)", mayBeWritten: true)
        }
    }
}
