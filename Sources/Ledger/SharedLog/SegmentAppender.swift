// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Appends lines to one stream of the shared log.
struct SegmentAppender: Sendable {
    let files: SegmentFiles
    /// A segment is closed before it would grow beyond this.
    let segmentBytes: Int64
    /// How many segments are kept, the active one included.
    let segmentsKept: Int
    let lockWait: Duration

    /// Appends the line and returns when it is durable.
    ///
    /// It is made here because only the holder of the lock knows the place that it is signed for.
    func append(_ draft: LineDraft) throws(LedgerError) -> LedgerMark {
        let lock = try WriteLock.acquire(in: files, within: lockWait)
        var number = try activeSegment(under: lock)
        // Opened after the lock was taken: a network file system asks its server for the file's state on opening.
        var segment = try open(number)
        var size = try closeTornLine(in: segment)
        if size > 0 && size + Int64(draft.maximumBytes) > segmentBytes {
            number += 1
            // First the lock file, then the segment: whoever finds only the first of the two makes the second, whereas
            // a segment that the lock file does not know would be left by readers while writers fill the one before.
            try lock.setActiveSegment(number)
            segment = try open(number)
            size = try closeTornLine(in: segment)
            try files.removeSegments(before: number - segmentsKept + 1)
        }
        let place = Cursor(segment: number, offset: size)
        let line = try draft.line(at: place)
        try segment.append(line, after: size)
        try segment.sync()
        // The writer that made the file may have been killed before it had done this.
        if size == 0 { try files.syncFolder() }
        return LedgerMark(at: place, line: line.dropLast())
    }

    /// The number of the segment that takes the next line.
    private func activeSegment(under lock: borrowing WriteLock) throws(LedgerError) -> Int {
        if let number = try lock.activeSegment(), files.exists(number), !files.exists(number + 1) { return number }
        // A new ledger, a rotation cut short, or a lock file that was lost or restored from a backup.
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

    /// Marks and ends the line that a killed writer left unfinished, if there is one; returns the file's length.
    private func closeTornLine(in segment: borrowing OpenFile) throws(LedgerError) -> Int64 {
        let size = try segment.size()
        guard size > 0, try segment.read(at: size - 1, count: 1) != [LineCodec.newline] else { return size }
        let mark = [LineCodec.tornMark, LineCodec.newline]
        try segment.append(mark, after: size)
        try segment.sync()
        return size + Int64(mark.count)
    }
}
