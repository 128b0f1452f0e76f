// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// An open file; closed when it goes out of scope.
///
/// All calls block: only the log's own queues make them.
struct OpenFile: ~Copyable {
    let descriptor: Int32
    let path: String

    /// Opens the file, or returns `nil` when there is none and `flags` do not create it.
    ///
    /// Nothing but a regular file is opened, unless `flags` ask for a folder: whoever can write to the ledger's folder
    /// could name any file of this host by a symbolic link, or keep the queue waiting at a FIFO.
    static func open(
        _ path: String,
        flags: Int32,
        mode: mode_t = SharedLog.fileMode
    ) throws(LedgerError) -> OpenFile? {
        let isFolder = flags & O_DIRECTORY != 0
        var descriptor: Int32
        repeat {
            descriptor = Glibc.open(path, flags | O_CLOEXEC | (isFolder ? 0 : O_NOFOLLOW | O_NONBLOCK), mode)
        } while descriptor < 0
            && errno == EINTR
        if descriptor < 0 && errno == ENOENT { return nil }
        // ELOOP: a symbolic link; ENXIO: a FIFO that nobody reads, or a socket.
        if descriptor < 0, errno == ELOOP || errno == ENXIO { throw notRegular(path) }
        guard descriptor >= 0 else { throw .system("open", path, code: errno) }
        let file = OpenFile(descriptor: descriptor, path: path)
        if isFolder { return file }
        let kind = try file.status().st_mode & S_IFMT
        guard kind == S_IFREG else { throw notRegular(path) }
        return file
    }

    deinit { close(descriptor) }

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    private static func notRegular(_ path: String) -> LedgerError {
        let reason = "it is not a regular file (a link, a FIFO or a device); find out who put it there, and remove it"
        return .failed(operation: "use", path: path, reason: reason, mayBeWritten: false)
    }

    func status() throws(LedgerError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system("examine", path, code: errno) }
        return status
    }

    func size() throws(LedgerError) -> Int64 { Int64(try status().st_size) }

    /// Up to `count` bytes from `offset` on; none at the end of the file.
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

    /// Writes all of `bytes` at the end of a file opened with `O_APPEND`, or none of them: what got onto a full disk is
    /// cut off again.
    ///
    /// `size` is the file's length before.
    func append(_ bytes: [UInt8], after size: Int64) throws(LedgerError) {
        var written = 0
        while written < bytes.count {
            let result = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if result < 0 && errno == EINTR { continue }
            guard result > 0 else {
                let code = result < 0 ? errno : EIO
                // Should this fail as well, the next writer finds the torn line and closes it.
                _ = ftruncate(descriptor, off_t(size))
                throw .system("append to", path, code: code)
            }
            written += result
        }
    }

    /// Writes `bytes`, which are few, at the beginning of the file.
    func overwrite(_ bytes: [UInt8]) throws(LedgerError) {
        var result: Int
        repeat {
            result = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        } while result < 0 && errno == EINTR
        guard result == bytes.count else { throw .system("write", path, code: result < 0 ? errno : ENOSPC) }
    }

    /// Returns when the file's content is on the storage.
    func sync() throws(LedgerError) {
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { throw .system("sync", path, code: errno, mayBeWritten: true) }
        }
    }

    /// Gives the file the mode of the ledger's files, whatever the umask made of it.
    func setMode() throws(LedgerError) {
        guard fchmod(descriptor, SharedLog.fileMode) == 0 else { throw .system("set the mode of", path, code: errno) }
    }
}
