// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The lock for appending to one stream, across processes and hosts; released when it goes out of scope.
///
/// It is an open file description (OFD) lock on a file that is never rotated or removed. Such a lock belongs to one
/// opening of the file and ends with it, even if the process is killed. A traditional POSIX lock belongs to the
/// process and is lost as soon as any part of the process closes the file.
///
/// The file contains the number of the active segment. It is read under the lock, when a network file system has
/// just dropped its cache of this file, so no writer uses an outdated listing of the folder.
struct WriteLock: ~Copyable {
    private let file: OpenFile

    /// `F_OFD_SETLK` of `<fcntl.h>`; Swift does not see it because glibc declares it for `_GNU_SOURCE` only.
    private static let setLock: Int32 = 37

    /// Acquires the lock; throws `lockTimedOut` if other writers hold it for the whole `limit`.
    ///
    /// Polls, because waiting for a lock in the kernel has no time limit.
    static func acquire(in files: SegmentFiles, within limit: Duration) throws(LedgerError) -> WriteLock {
        let clock = ContinuousClock()
        let start = clock.now
        var pause = 500.0  // microseconds
        while true {
            let file = try open(in: files)
            while try !tryToLock(file) {
                guard clock.now - start < limit else {
                    throw .lockTimedOut(path: file.path, waited: clock.now - start)
                }
                // Random, so that waiting writers do not retry in step.
                usleep(UInt32(pause * Double.random(in: 0.5...1.5)))
                pause = min(pause * 1.5, 20_000)
            }
            // A lock on a file that was removed excludes no other writer.
            if try isStillThere(file) { return WriteLock(file: file) }
        }
    }

    private init(file: consuming OpenFile) { self.file = file }

    private static func open(in files: SegmentFiles) throws(LedgerError) -> OpenFile {
        if let file = try OpenFile.open(files.lockPath, flags: O_RDWR) { return file }
        try files.requireLedger()
        guard let file = try OpenFile.open(files.lockPath, flags: O_RDWR | O_CREAT) else {
            throw .notALedger(path: files.folder, reason: "it was removed a moment ago")
        }
        try file.setMode()
        return file
    }

    private static func tryToLock(_ file: borrowing OpenFile) throws(LedgerError) -> Bool {
        var request = flock()
        request.l_type = Int16(F_WRLCK)
        request.l_whence = Int16(SEEK_SET)
        request.l_start = 0
        request.l_len = 0
        request.l_pid = 0  // the kernel refuses an OFD lock with any other value
        let result = withUnsafeMutablePointer(to: &request) {
            fcntl(file.descriptor, setLock, UnsafeMutableRawPointer($0))
        }
        if result == 0 { return true }
        switch errno {
        case EAGAIN, EACCES, EINTR: return false
        case let code: throw .lockUnavailable(path: file.path, reason: String(cString: strerror(code)))
        }
    }

    private static func isStillThere(_ file: borrowing OpenFile) throws(LedgerError) -> Bool {
        let opened = try file.status()
        var named = stat()
        return lstat(file.path, &named) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
    }

    private static let digits = 12

    /// Returns the number of the active segment; `nil` if the lock file is new or damaged.
    func activeSegment() throws(LedgerError) -> Int? {
        let bytes = try file.read(at: 0, count: Self.digits + 1)
        guard bytes.count == Self.digits + 1, bytes.last == LineCodec.newline else { return nil }
        let number = Int(String(decoding: bytes.dropLast(), as: UTF8.self))
        return number.flatMap { $0 > 0 ? $0 : nil }
    }

    /// Makes `number` the active segment for all later writers.
    func setActiveSegment(_ number: Int) throws(LedgerError) {
        let text = String(number)
        let zeros = String(repeating: "0", count: max(0, Self.digits - text.count))
        try file.overwrite(Array((zeros + text + "\n").utf8))
        try file.sync()
    }
}
