// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Replaces small files durably as a whole.
public enum DurableFile {
    public struct Failure: Error, Equatable, CustomStringConvertible {
        /// The file or its folder.
        public let path: String
        /// The system's error, an `errno`.
        public let code: Int32
        /// The system's error message.
        public var reason: String { String(cString: strerror(code)) }
        public var description: String { "cannot write '\(path)': \(reason)" }

        /// Uses the error of the last system call.
        init(_ path: String) { (self.path, code) = (path, errno) }
    }

    /// Replaces or creates the file with this mode, independent of the umask; its folder must exist.
    ///
    /// A reader or a crash finds either the old or the new bytes. Blocks for a write and two syncs. After an error the
    /// file is unchanged, unless only the sync of its folder failed.
    public static func replace(
        _ path: String,
        with bytes: some Sequence<UInt8>,
        mode: UInt32
    ) throws(Failure) {
        // A random name, because two hosts may write the same file on shared storage at the same time.
        let draft = "\(path).\(String(UInt64.random(in: .min ... .max), radix: 16)).new"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw Failure(path) }
        defer { close(descriptor) }
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw discarded(draft, path) }
            rest = rest.dropFirst(count)
        }
        // Independent of the umask.
        guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0, rename(draft, path) == 0 else {
            throw discarded(draft, path)
        }
        try syncFolder(of: path)
    }

    private static func discarded(_ draft: String, _ path: String) -> Failure {
        let failure = Failure(path)
        unlink(draft)
        return failure
    }

    /// Makes the new name durable: otherwise a power failure could restore the old file.
    private static func syncFolder(of path: String) throws(Failure) {
        let name = path.lastIndex(of: "/").map { path[..<$0] }
        let folder = name.map { $0.isEmpty ? "/" : String($0) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(folder) }
        defer { close(descriptor) }
        // Some file systems cannot sync a folder and return EINVAL; they write names at once.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw Failure(folder) }
    }
}
