// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

/// Small identity files: read only if no other user can write them, and replaced durably as a whole.
enum IdentityFiles {
    /// Larger files are not read.
    private static let maximumBytes = 32 << 20

    static func exists(_ path: String) -> Bool { Glibc.access(path, F_OK) == 0 }

    /// Reads a file that no other user can write and, if `secret`, no other user can read.
    static func read(_ path: String, secret: Bool = false) throws(IdentityError) -> String {
        String(decoding: try bytes(path, secret ? .secret : .ours), as: UTF8.self)
    }

    /// Reads a regular file of any owner: the caller must verify the content.
    static func readPublished(_ path: String) throws(IdentityError) -> [UInt8] { try bytes(path, .published) }

    private static func bytes(_ path: String, _ trust: SafeFile.Trust) throws(IdentityError) -> [UInt8] {
        do { return try SafeFile.read(path, trust, atMost: maximumBytes) } catch {
            throw .file(path: path, reason: error.reason.text)
        }
    }

    /// Returns the owner and the mode of a file; `nil` if there is none.
    static func access(_ path: String) -> (owner: uid_t, mode: mode_t)? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return (status.st_uid, status.st_mode & 0o7777)
    }

    /// Replaces the file durably as a whole.
    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws(IdentityError) {
        do { try DurableFile.replace(path, with: text.utf8, mode: mode) } catch {
            throw .file(path: error.path, reason: "it cannot be written (\(error.reason))")
        }
    }

    static func folder(of path: String) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        return parts.count == 1 ? "/" : parts.joined(separator: "/")
    }

    /// Creates the folder and its parents; leaves an existing folder unchanged.
    static func makeFolder(_ path: String, mode: mode_t) throws(IdentityError) {
        if exists(path) { return }
        let parent = folder(of: path)
        if parent != path, !exists(parent) { try makeFolder(parent, mode: 0o755) }
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw .file(path: path, reason: reason()) }
    }

    static func remove(_ path: String) { unlink(path) }

    static func entries(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
