// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A lock on a file that only one process can hold; released when the process ends.
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
    }

    deinit { close(descriptor) }
}
