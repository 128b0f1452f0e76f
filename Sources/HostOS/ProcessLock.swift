// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Makes sure that one process does a thing at a time: a lock on a file, held as long as the process lives.
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

    /// Takes the lock, or says that another process has it; `purpose` is what both are: `controller`.
    ///
    /// The folder may be one that others can write to: a symbolic link, a FIFO or a device there is refused.
    public init(path: String, purpose: String) throws(Failure) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o640)
        guard descriptor >= 0 else { throw .unusable(path: path, reason: String(cString: strerror(errno))) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .unusable(path: path, reason: "it is not a regular file; find out who put it there, and remove it")
        }
        // flock is mapped to byte-range locks by NFS and to cluster locks by OCFS2 and GFS2.
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
