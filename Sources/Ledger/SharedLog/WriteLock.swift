// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The lock for appending to a shared log, across processes and hosts; released when it goes out of scope.
///
/// It is a lock on a file that is never rotated or removed. The file contains the number of the active segment. It is
/// read under the lock, when a network file system has just dropped its cache of this file, so no writer uses an
/// outdated listing of the folder. `SegmentAppender` locks the segment, too.
struct WriteLock: ~Copyable {
    private let file: OpenFile

    /// Acquires the lock; throws `lockTimedOut` if other writers still hold it at the end of the wait.
    static func acquire(in files: SegmentFiles, within wait: LockWait) throws(LedgerError) -> WriteLock {
        while true {
            let file = try open(in: files)
            try file.lock(within: wait)
            // A lock on a file that was removed excludes no other writer.
            if try isStillThere(file) { return WriteLock(file: file) }
            guard !wait.isOver else { throw .lockTimedOut(path: files.lockPath, waited: wait.limit) }
        }
    }

    private init(file: consuming OpenFile) { self.file = file }

    private static func open(in files: SegmentFiles) throws(LedgerError) -> OpenFile {
        if let file = try OpenFile.open(files.lockPath, flags: O_RDWR) { return file }
        try files.requireLedger()
        guard let file = try OpenFile.open(files.lockPath, flags: O_RDWR | O_CREAT) else {
            throw .notALedger(path: files.ledger, reason: "it was removed a moment ago")
        }
        try file.setMode()
        return file
    }

    private static func isStillThere(_ file: borrowing OpenFile) throws(LedgerError) -> Bool {
        let opened = try file.status()
        var named = stat()
        return lstat(file.path, &named) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
    }

    private static let digits = 12

    /// Returns the number of the active segment, as a reader without the lock sees it; `nil` if there is none.
    static func activeSegment(in files: SegmentFiles) throws(LedgerError) -> Int? {
        guard let file = try OpenFile.open(files.lockPath, flags: O_RDONLY) else { return nil }
        return try activeSegment(in: file)
    }

    /// Returns the number of the active segment; `nil` if the lock file is new or damaged.
    func activeSegment() throws(LedgerError) -> Int? { try Self.activeSegment(in: file) }

    private static func activeSegment(in file: borrowing OpenFile) throws(LedgerError) -> Int? {
        let bytes = try file.read(at: 0, count: digits + 1)
        guard bytes.count == digits + 1, bytes.last == LineCodec.newline else { return nil }
        let number = Int(String(decoding: bytes.dropLast(), as: UTF8.self))
        return number.flatMap { $0 > 0 && $0 <= SegmentFiles.highestNumber ? $0 : nil }
    }

    /// Makes `number` the active segment for all later writers.
    func setActiveSegment(_ number: Int) throws(LedgerError) {
        let text = String(number)
        let zeros = String(repeating: "0", count: max(0, Self.digits - text.count))
        try file.overwrite(Array((zeros + text + "\n").utf8))
        try file.sync()
    }
}
