// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Opens and reads files that other users or hosts may have placed or changed.
///
/// A symbolic link could lead to any file of this host, and a FIFO or a device could block the reader: only regular
/// files are opened.
public enum SafeFile {
    /// The permissions that a file must have to be read.
    public enum Trust: Sendable {
        /// Any: the caller verifies the content.
        case published
        /// Only this process's user and root can write it; it may be reached through a symbolic link.
        case ours
        /// Only this process's user has access to it.
        case secret
    }

    public enum Reason: Sendable, Equatable {
        /// A system call failed with this `errno`.
        case system(Int32)
        case notRegular
        case foreignOwner
        /// Other users can write to it or, if it is secret, have any access to it.
        case openToOthers(Trust)
        case larger(than: Int)

        public var text: String {
            switch self {
            case .system(EWOULDBLOCK):
                "another host or process does not give up its lease; on an NFS server, a client that does not answer "
                    + "keeps its delegation until its NFS lease ends (90 s by default)"
            case .system(let code): String(cString: strerror(code))
            case .notRegular:
                "it is not a regular file (a link, a FIFO or a device); find out who put it there, and remove it"
            case .foreignOwner: "it belongs to another user; change its owner with 'chown'"
            case .openToOthers(.secret): "other users have access to it; run 'chmod 600', and get new keys"
            case .openToOthers: "other users can write to it; run 'chmod 644', and check its content"
            case .larger(let limit): "it is larger than \(limit) bytes"
            }
        }
    }

    public struct Failure: Error, Equatable, CustomStringConvertible {
        public let path: String
        public let reason: Reason
        public var description: String { "cannot open '\(path)': \(reason.text)" }
    }

    /// Opens a regular file and returns its descriptor; the caller closes it.
    ///
    /// `flags` are those of open(2); `mode` applies if they create the file. With `followsLinks`, symbolic links are
    /// followed.
    public static func open(
        _ path: String,
        flags: Int32,
        mode: UInt32 = 0o600,
        followsLinks: Bool = false
    ) throws(Failure) -> Int32 {
        let descriptor = opened(path, flags | O_CLOEXEC | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW), mode)
        // ELOOP: a symbolic link; ENXIO: a FIFO without a reader, or a socket.
        if descriptor < 0, errno == ELOOP || errno == ENXIO { throw Failure(path: path, reason: .notRegular) }
        guard descriptor >= 0 else { throw Failure(path: path, reason: .system(errno)) }
        do throws(Failure) {
            guard try status(descriptor, path).st_mode & S_IFMT == S_IFREG else {
                throw Failure(path: path, reason: .notRegular)
            }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// How long the holder of a lease may take to give it up.
    private static let leaseLimit: Duration = .seconds(20)

    /// Opens a file; waits while another process gives up its lease on it.
    ///
    /// On an NFS server the clients' delegations are such leases: without waiting, the server could read none of the
    /// files that its clients read.
    private static func opened(_ path: String, _ flags: Int32, _ mode: UInt32) -> Int32 {
        let deadline = ContinuousClock.now + leaseLimit
        while true {
            let descriptor = Glibc.open(path, flags, mode)
            guard descriptor < 0 else { return descriptor }
            switch errno {
            case EINTR: continue
            case EWOULDBLOCK where ContinuousClock.now < deadline: usleep(10_000)
            default: return descriptor
            }
        }
    }

    /// Reads a whole file of at most `limit` bytes.
    ///
    /// Blocks.
    public static func read(_ path: String, _ trust: Trust, atMost limit: Int) throws(Failure) -> [UInt8] {
        let descriptor = try open(path, flags: O_RDONLY, followsLinks: trust == .ours)
        defer { close(descriptor) }
        let status = try status(descriptor, path)
        switch trust {
        case .published: break
        case .ours, .secret:
            guard status.st_uid == geteuid() || (trust == .ours && status.st_uid == 0) else {
                throw Failure(path: path, reason: .foreignOwner)
            }
            guard status.st_mode & (trust == .secret ? 0o077 : 0o022) == 0 else {
                throw Failure(path: path, reason: .openToOthers(trust))
            }
        }
        return try content(descriptor, path, atMost: limit)
    }

    private static func content(_ descriptor: Int32, _ path: String, atMost limit: Int) throws(Failure) -> [UInt8] {
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(path: path, reason: .system(errno)) }
            if count == 0 { return result }
            result += chunk.prefix(count)
            guard result.count <= limit else { throw Failure(path: path, reason: .larger(than: limit)) }
        }
    }

    private static func status(_ descriptor: Int32, _ path: String) throws(Failure) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Failure(path: path, reason: .system(errno)) }
        return status
    }
}
