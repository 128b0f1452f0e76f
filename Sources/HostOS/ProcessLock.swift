// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A lock on a file that only one process can hold; released when the process ends.
public struct ProcessLock: ~Copyable, Sendable {
    public let path: String
    private let descriptor: Int32

    public enum Failure: Error, CustomStringConvertible {
        case held(path: String, purpose: String)
        /// The process had the lock, and has it no longer.
        case lost(path: String, reason: String)
        case unusable(path: String, reason: String)

        public var description: String {
            switch self {
            case .held(let path, let purpose): "another \(purpose) is running (it holds \(path)). Stop it first."
            case .lost(let path, let reason): "the lock \(path) was lost: \(reason)"
            case .unusable(let path, let reason): "cannot lock \(path): \(reason)"
            }
        }
    }

    /// Acquires the lock; throws if another process holds it.
    ///
    /// `purpose` describes both processes, such as `controller`. Refuses symbolic links, FIFOs and devices, because
    /// other users may be able to write to the folder.
    public init(path: String, purpose: String) throws(Failure) {
        let descriptor: Int32
        do { descriptor = try SafeFile.open(path, flags: O_RDWR | O_CREAT, mode: 0o640) } catch {
            throw .unusable(path: path, reason: error.reason.text)
        }
        // NFS maps flock to byte-range locks; OCFS2 and GFS2 map it to cluster locks.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { throw .held(path: path, purpose: purpose) }
            throw .unusable(path: path, reason: String(cString: strerror(code)))
        }
        self.descriptor = descriptor
        self.path = path
    }

    /// Throws `.lost` unless this process still holds the lock on the file at its path.
    ///
    /// A network file system releases the locks of a host that it has not heard of for long. Then another open of the file
    /// gets the lock, or another process has it: the latter looks like a lock that is held here. Blocks.
    public func check() throws(Failure) {
        var (own, present) = (stat(), stat())
        guard fstat(descriptor, &own) == 0 else {
            throw .unusable(path: path, reason: String(cString: strerror(errno)))
        }
        guard lstat(path, &present) == 0 else {
            if errno == ENOENT { throw .lost(path: path, reason: "its file was removed") }
            throw .unusable(path: path, reason: String(cString: strerror(errno)))
        }
        guard own.st_ino == present.st_ino, own.st_dev == present.st_dev else {
            throw .lost(path: path, reason: "another file is in its place")
        }
        let second: Int32
        do { second = try SafeFile.open(path, flags: O_RDWR) } catch {
            throw .unusable(path: path, reason: error.reason.text)
        }
        defer { close(second) }
        if flock(second, LOCK_EX | LOCK_NB) == 0 {
            throw .lost(path: path, reason: "the file system has released it")
        }
        guard errno == EWOULDBLOCK else { throw .unusable(path: path, reason: String(cString: strerror(errno))) }
    }

    deinit { close(descriptor) }
}
