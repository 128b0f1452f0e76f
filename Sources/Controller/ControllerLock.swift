// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Makes sure that one controller decides at a time: a lock on a file beside the ledger, held as long as the process
/// lives.
public struct ControllerLock: ~Copyable {
    private let descriptor: Int32

    public enum Failure: Error, CustomStringConvertible {
        case held(path: String)
        case unusable(path: String, reason: String)

        public var description: String {
            switch self {
            case .held(let path): "another controller is in control (it holds \(path)): stop it first"
            case .unusable(let path, let reason): "cannot lock \(path): \(reason)"
            }
        }
    }

    /// Takes the lock in the ledger's folder, or says who has it.
    public init(folder: String) throws(Failure) {
        let path = "\(folder)/controller.lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw .unusable(path: path, reason: String(cString: strerror(errno))) }
        // flock is mapped to byte-range locks by NFS and to cluster locks by OCFS2 and GFS2.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { throw .held(path: path) }
            throw .unusable(path: path, reason: String(cString: strerror(code)))
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}
