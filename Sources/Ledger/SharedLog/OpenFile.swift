// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

/// An open file, closed when it goes out of scope.
///
/// All calls block: only the log's own queues make them.
struct OpenFile: ~Copyable {
    let descriptor: Int32
    let path: String

    /// Opens the file; returns `nil` if there is none and `flags` do not create it.
    ///
    /// Opens only regular files, unless `flags` request a folder: whoever can write to the ledger's folder could
    /// otherwise point a symbolic link at any file of this host, or block the queue with a FIFO.
    static func open(
        _ path: String,
        flags: Int32,
        mode: mode_t = SharedLog.fileMode
    ) throws(LedgerError) -> OpenFile? {
        if flags & O_DIRECTORY != 0 { return try openFolder(path, flags: flags) }
        do { return OpenFile(descriptor: try SafeFile.open(path, flags: flags, mode: mode), path: path) } catch {
            if error.reason == .system(ENOENT) { return nil }
            throw LedgerError(error)
        }
    }

    private static func openFolder(_ path: String, flags: Int32) throws(LedgerError) -> OpenFile? {
        var descriptor: Int32
        repeat { descriptor = Glibc.open(path, flags | O_CLOEXEC) } while descriptor < 0 && errno == EINTR
        if descriptor < 0 && errno == ENOENT { return nil }
        guard descriptor >= 0 else { throw .system("open", path, code: errno) }
        return OpenFile(descriptor: descriptor, path: path)
    }

    deinit { close(descriptor) }

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func status() throws(LedgerError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system("examine", path, code: errno) }
        return status
    }

    /// `F_OFD_SETLK` of `<fcntl.h>`; Swift does not see it because glibc declares it for `_GNU_SOURCE` only.
    private static let setLock: Int32 = 37

    /// Tries to lock the whole file against other openings of it, on this host and on others.
    ///
    /// It is an open file description (OFD) lock: it belongs to this opening and ends with it, even if the process is
    /// killed. A traditional POSIX lock belongs to the process and is lost as soon as any part of the process closes
    /// the file.
    func tryToLock() throws(LedgerError) -> Bool {
        var request = flock()
        request.l_type = Int16(F_WRLCK)
        request.l_whence = Int16(SEEK_SET)
        request.l_start = 0
        request.l_len = 0
        request.l_pid = 0  // the kernel refuses an OFD lock with any other value
        let result = withUnsafeMutablePointer(to: &request) {
            fcntl(descriptor, Self.setLock, UnsafeMutableRawPointer($0))
        }
        if result == 0 { return true }
        switch errno {
        case EAGAIN, EACCES, EINTR: return false
        case let code: throw .lockUnavailable(path: path, reason: String(cString: strerror(code)))
        }
    }

    /// Locks the file; throws `lockTimedOut` if others still hold its lock at the end of the wait.
    ///
    /// Polls, because waiting for a lock in the kernel has no time limit.
    func lock(within wait: LockWait) throws(LedgerError) {
        var pause = 500.0  // microseconds
        while try !tryToLock() {
            guard !wait.isOver else { throw .lockTimedOut(path: path, waited: wait.limit) }
            // Random, so that waiting writers do not retry in step.
            usleep(UInt32(pause * Double.random(in: 0.5...1.5)))
            pause = min(pause * 1.5, 20_000)
        }
    }

    func size() throws(LedgerError) -> Int64 { Int64(try status().st_size) }

    /// Reads up to `count` bytes from `offset`; returns none at the end of the file.
    func read(at offset: Int64, count: Int) throws(LedgerError) -> [UInt8] {
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var result: Int
            repeat {
                result = pread(descriptor, buffer.baseAddress, count, off_t(offset))
            } while result < 0
                && errno == EINTR
            if result < 0 { code = errno }
            filled = max(0, result)
        }
        guard code == 0 else { throw .system("read", path, code: code) }
        return bytes
    }

    /// Appends all of `bytes` to a file opened with `O_APPEND`, or none of them: a partial write to a full disk is
    /// truncated again.
    ///
    /// `size` is the length of the file before the call, in bytes.
    func append(_ bytes: [UInt8], after size: Int64) throws(LedgerError) {
        var written = 0
        while written < bytes.count {
            let result = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if result < 0 && errno == EINTR { continue }
            guard result > 0 else {
                let code = result < 0 ? errno : EIO
                // If this fails too, the next writer finds the torn line and closes it.
                _ = ftruncate(descriptor, off_t(size))
                throw .system("append to", path, code: code)
            }
            written += result
        }
    }

    /// Writes a small number of bytes at the beginning of the file.
    func overwrite(_ bytes: [UInt8]) throws(LedgerError) {
        var result: Int
        repeat {
            result = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        } while result < 0 && errno == EINTR
        guard result == bytes.count else { throw .system("write", path, code: result < 0 ? errno : ENOSPC) }
    }

    /// Flushes the file's content to the storage.
    func sync() throws(LedgerError) {
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { throw .system("sync", path, code: errno, mayBeWritten: true) }
        }
    }

    /// Sets the mode of the ledger's files, independent of the umask.
    func setMode() throws(LedgerError) {
        guard fchmod(descriptor, SharedLog.fileMode) == 0 else { throw .system("set the mode of", path, code: errno) }
    }
}

extension LedgerError {
    /// A file that could not be opened or read.
    init(_ failure: SafeFile.Failure) {
        if case .system(let code) = failure.reason {
            self = .system("open", failure.path, code: code)
        } else {
            self = .failed(operation: "use", path: failure.path, reason: failure.reason.text, mayBeWritten: false)
        }
    }
}
