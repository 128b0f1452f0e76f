// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Files and folders of sealed moves, which only their owner may read; no link is followed.
enum SealingFiles {
    static func creating(_ path: String) throws -> FileHandle {
        // An earlier attempt may have left one; each order is sealed once.
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SealingError("\(path) cannot be created: \(String(cString: strerror(errno)))")
        }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    static func reading(_ path: String) throws -> FileHandle {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw SealingError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
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
        guard let kind = fileSystem(of: path), ["tmpfs", "ramfs"].contains(kind) else {
            let rule = "Unencrypted images may only be stored in memory (migration.sealed_folder)."
            throw SealingError("\(path) is not in memory. \(rule)")
        }
        try requireRoom(path, bytes: bytes)
    }

    static func requireRoom(_ path: String, bytes: UInt64) throws {
        var system = statvfs()
        guard statvfs(path, &system) == 0 else { throw SealingError("cannot determine the free space in \(path)") }
        let free = UInt64(system.f_bavail) * UInt64(system.f_frsize)
        guard free >= bytes else { throw SealingError("\(path) has \(free) bytes free, and \(bytes) are needed") }
    }

    /// Returns the type of the file system that contains a file, found by its device number.
    private static func fileSystem(of path: String) -> String? {
        var status = stat()
        guard lstat(path, &status) == 0,
            let mounts = try? String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        else { return nil }
        // Splits the device number as glibc's macros do.
        let number = UInt64(status.st_dev)
        let (major, minor) = (number >> 8 & 0xfff | number >> 32 & ~0xfff, number & 0xff | number >> 12 & ~0xff)
        let device = "\(major):\(minor & 0xffff_ffff)"
        for line in mounts.split(separator: "\n") {
            let halves = line.split(separator: " - ", maxSplits: 1)
            let fields = halves[0].split(separator: " ")
            guard halves.count == 2, fields.count > 2, fields[2] == device else { continue }
            return halves[1].split(separator: " ").first.map(String.init)
        }
        return nil
    }
}
