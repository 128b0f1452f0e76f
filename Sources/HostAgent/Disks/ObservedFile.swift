// SPDX-License-Identifier: Apache-2.0
import Glibc
import HostOS

/// A regular file as this host's kernel reports it.
struct ObservedFile: Sendable {
    /// The folder that holds the file itself, after all links.
    let folder: String
    let fileSystem: String
    let inode: UInt64
    let bytes: UInt64

    /// Blocks for as long as the storage does.
    init(at path: String) throws(DiskError) {
        guard let resolved = realpath(path, nil) else { throw DiskError(errno) }
        defer { free(resolved) }
        var status = stat()
        guard stat(resolved, &status) == 0 else { throw DiskError(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw DiskError("it is not a regular file") }
        // An NFS client updates what it has cached when it opens a file. Without the right to open it, the cache must
        // do.
        let descriptor = open(resolved, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if descriptor >= 0 {
            defer { close(descriptor) }
            guard fstat(descriptor, &status) == 0 else { throw DiskError(errno) }
        }
        let file = String(cString: resolved)
        folder = String(file.prefix(upTo: file.lastIndex(of: "/") ?? file.startIndex))
        fileSystem = FileSystem(of: file)?.type ?? "unknown"
        inode = UInt64(status.st_ino)
        bytes = UInt64(clamping: status.st_size)
    }
}

/// Why a disk's file cannot be observed.
struct DiskError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
    init(_ code: Int32) { description = String(cString: strerror(code)) }
}
