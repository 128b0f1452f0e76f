// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Appends lines to one stream of the shared log.
struct SegmentAppender: Sendable {
    let files: SegmentFiles
    /// Maximum size of a segment in bytes.
    let segmentBytes: Int64
    /// Number of segments to keep, including the active one.
    let segmentsKept: Int
    let lockWait: Duration

    /// Appends the line and returns when it is durable.
    ///
    /// The line is signed here because only the holder of the lock knows its position.
    func append(_ draft: LineDraft) throws(LedgerError) -> LedgerMark {
        let lock = try WriteLock.acquire(in: files, within: lockWait)
        var number = try activeSegment(under: lock)
        // Opened after the lock was taken: a network file system asks its server for the file's state on opening.
        var segment = try open(number)
        var size = try closeTornLine(in: segment)
        if size > 0 && size + Int64(draft.maximumBytes) > segmentBytes {
            number += 1
            // First the lock file, then the segment. A writer that finds only the lock file's number creates the
            // segment. A segment unknown to the lock file would make readers leave the one that writers still fill.
            try lock.setActiveSegment(number)
            segment = try open(number)
            size = try closeTornLine(in: segment)
            try files.removeSegments(before: number - segmentsKept + 1)
        }
        let place = Cursor(segment: number, offset: size)
        let line = try draft.line(at: place)
        try segment.append(line, after: size)
        try segment.sync()
        // The writer that created the file may have been killed before this step.
        if size == 0 { try files.syncFolder() }
        return LedgerMark(at: place, line: line.dropLast())
    }

    /// Returns the number of the segment that receives the next line.
    private func activeSegment(under lock: borrowing WriteLock) throws(LedgerError) -> Int {
        if let number = try lock.activeSegment(), files.exists(number), !files.exists(number + 1) { return number }
        // A new ledger, an interrupted rotation, or a lock file that was lost or restored from a backup.
        let number = max(try lock.activeSegment() ?? 1, try files.numbers().last ?? 1)
        try lock.setActiveSegment(number)
        return number
    }

    private func open(_ number: Int) throws(LedgerError) -> OpenFile {
        let path = files.path(number)
        if let segment = try OpenFile.open(path, flags: O_RDWR | O_APPEND) { return segment }
        guard let segment = try OpenFile.open(path, flags: O_RDWR | O_APPEND | O_CREAT) else {
            throw .notALedger(path: files.folder, reason: "it was removed a moment ago")
        }
        try segment.setMode()
        return segment
    }

    /// Marks and ends a line that a killed writer left incomplete, if there is one; returns the file's length.
    private func closeTornLine(in segment: borrowing OpenFile) throws(LedgerError) -> Int64 {
        let size = try segment.size()
        guard size > 0, try segment.read(at: size - 1, count: 1) != [LineCodec.newline] else { return size }
        let mark = [LineCodec.tornMark, LineCodec.newline]
        try segment.append(mark, after: size)
        try segment.sync()
        return size + Int64(mark.count)
    }
}
