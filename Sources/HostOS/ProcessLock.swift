// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A lock on a file that allows only one process at a time, released at the latest when the process ends.
public struct ProcessLock: ~Copyable {
    private let descriptor: Int32

    public enum Failure: Error, CustomStringConvertible {
        case held(path: String, purpose: String)
        case unusable(path: String, reason: String)

        public var description: String {
            switch self {
            case .held(let path, let purpose): "another \(purpose) is running (it holds \(path)). Stop it first."
            case .unusable(let path, let reason): "cannot lock \(path): \(reason)"
            }
        }
    }

    /// Acquires the lock, or throws if another process holds it; `purpose` describes both processes: `controller`.
    ///
    /// Other users may be able to write to the folder: a symbolic link, a FIFO or a device there is refused.
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
    }

    deinit { close(descriptor) }
}
