// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation

/// Files and folders of sealed moves, which only their owner may read; no link is followed.
enum SealingFiles {
    static func creating(_ path: String) throws -> FileHandle {
        // An earlier attempt may have left one; each order is sealed once.
        unlink(path)
        return try handle(path, "created", flags: O_WRONLY | O_CREAT | O_EXCL)
    }

    static func reading(_ path: String) throws -> FileHandle { try handle(path, "read", flags: O_RDONLY) }

    private static func handle(_ path: String, _ done: String, flags: Int32) throws -> FileHandle {
        do {
            return FileHandle(fileDescriptor: try SafeFile.open(path, flags: flags), closeOnDealloc: true)
        } catch {
            throw SealingError("\(path) cannot be \(done): \(error.reason.text)")
        }
    }

    /// Creates the folder if it does not exist; throws unless only its owner may enter it.
    ///
    /// `isShared`: the folder is on storage where its owner may be another host's user.
    static func makeFolder(_ path: String, isShared: Bool = false) throws {
        let made = mkdir(path, 0o700)
        guard made == 0 || errno == EEXIST else {
            throw SealingError("\(path) cannot be created: \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_mode & 0o077 == 0,
            isShared || status.st_uid == geteuid()
        else { throw SealingError("\(path) must be a folder that only its owner can enter (mode 0700)") }
    }

    /// Throws unless the folder is in memory and has this many bytes free.
    static func requireMemory(_ path: String, bytes: UInt64) throws {
        let fileSystem = try fileSystem(of: path)
        guard fileSystem.isInMemory else {
            let rule = "Unencrypted images may only be stored in memory (migration.sealed_folder)."
            throw SealingError("\(path) is not in memory. \(rule)")
        }
        try requireRoom(fileSystem, path, bytes: bytes)
    }

    static func requireRoom(_ path: String, bytes: UInt64) throws {
        try requireRoom(fileSystem(of: path), path, bytes: bytes)
    }

    private static func requireRoom(_ fileSystem: FileSystem, _ path: String, bytes: UInt64) throws {
        guard fileSystem.freeBytes >= bytes else {
            throw SealingError("\(path) has \(fileSystem.freeBytes) bytes free, and \(bytes) are needed")
        }
    }

    private static func fileSystem(of path: String) throws -> FileSystem {
        guard let fileSystem = FileSystem(of: path) else {
            throw SealingError("cannot read the file system of \(path)")
        }
        return fileSystem
    }
}
