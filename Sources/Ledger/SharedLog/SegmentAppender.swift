// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Appends lines to one log.
struct SegmentAppender: Sendable {
    let files: SegmentFiles
    /// Maximum size of a segment in bytes.
    let segmentBytes: Int64
    let retention: Retention
    /// The log of the orders to which these reports belong; `nil` for other records.
    var orders: SegmentFiles?
    /// Maximum time for which an append waits for all its locks together.
    let lockWait: Duration

    /// Appends the line and returns when it is durable.
    ///
    /// The line is signed here because only the holder of the lock knows its position.
    func append(_ draft: LineDraft) throws(LedgerError) -> LedgerMark {
        files.log.writer == nil ? try appendLocked(draft) : try appendAlone(draft)
    }

    /// Appends to a shared log, under its lock.
    private func appendLocked(_ draft: LineDraft) throws(LedgerError) -> LedgerMark {
        let wait = LockWait(lockWait)
        let lock = try WriteLock.acquire(in: files, within: wait)
        let number = try activeSegment(under: lock)
        return try append(draft, to: number, within: wait) { number throws(LedgerError) in
            // First the lock file, then the segment. A writer that finds only the lock file's number creates the
            // segment. A segment unknown to the lock file would make readers leave the one that writers still fill.
            try lock.setActiveSegment(number)
        }
    }

    /// Appends to the log of the only writer, which needs no lock: `evenkeel-agent` runs once on a host.
    private func appendAlone(_ draft: LineDraft) throws(LedgerError) -> LedgerMark {
        try files.makeFolder()
        return try append(draft, to: try files.numbers().last ?? 1, within: LockWait(lockWait)) {
            _ throws(LedgerError) in
        }
    }

    /// Appends to a segment, or to the next one if it is full or covers too much time, which `announce` makes known before
    /// it is created.
    private func append(
        _ draft: LineDraft,
        to active: Int,
        within wait: LockWait,
        announce: (Int) throws(LedgerError) -> Void
    ) throws(LedgerError) -> LedgerMark {
        var number = active
        // Opened after the lock was taken: a network file system asks its server for the file's state on opening.
        var segment = try open(number, within: wait)
        var size = try closeTornLine(in: segment)
        let isFull = size > 0 && size > segmentBytes - Int64(draft.maximumBytes)
        let isFinished = isFull || (size > 0 && files.coversTooMuchTime(number, for: retention))
        if isFinished {
            guard number < SegmentFiles.highestNumber else {
                let reason = "it has the highest number that a segment can have. Create a new ledger."
                throw .failed(operation: "rotate", path: segment.path, reason: reason, mayBeWritten: false)
            }
            // A killed writer may not have synced its last line, and readers take a line as durable once another follows.
            try segment.sync()
            number += 1
            try announce(number)
            segment = try open(number, within: wait)
            size = try closeTornLine(in: segment)
        }
        let place = Cursor(segment: number, offset: size)
        let line = try draft.line(at: place)
        try segment.append(line, after: size)
        try segment.sync()
        // The writer that created the file may have been killed before this step.
        if size == 0 { try files.syncFolder() }
        if isFinished {
            files.removeSegments(before: number, beyond: retention, segmentBytes: segmentBytes, of: orders)
        }
        return LedgerMark(at: place, line: line.dropLast())
    }

    /// Returns the number of the segment that receives the next line of a shared log.
    private func activeSegment(under lock: borrowing WriteLock) throws(LedgerError) -> Int {
        let known = try lock.activeSegment()
        if let known, files.exists(known), !files.exists(known + 1) { return known }
        // A new ledger, an interrupted rotation, or a lock file that was lost or restored from a backup.
        let last = try files.numbers().last
        // An interrupted rotation is one segment ahead; a number beyond that would lead away from the segments.
        let number = max(last ?? 1, min(known ?? 1, last.map { $0 + 1 } ?? known ?? 1))
        try lock.setActiveSegment(number)
        return number
    }

    /// Opens a segment, and locks it if other writers may write to it.
    ///
    /// `WriteLock` already keeps them away. But if the storage takes that lock away, for instance because this host was
    /// cut off, the data may still be on its way. With a lock on the file itself the storage refuses such a late write.
    private func open(_ number: Int, within wait: LockWait) throws(LedgerError) -> OpenFile {
        let segment = try openOrCreate(files.path(number))
        if files.log.writer == nil { try segment.lock(within: wait) }
        return segment
    }

    private func openOrCreate(_ path: String) throws(LedgerError) -> OpenFile {
        if let segment = try OpenFile.open(path, flags: O_RDWR | O_APPEND) { return segment }
        guard let segment = try OpenFile.open(path, flags: O_RDWR | O_APPEND | O_CREAT) else {
            throw .notALedger(path: files.ledger, reason: "it was removed a moment ago")
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
