// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// Small files: state, configuration, cgroup and /proc entries.
///
/// Every function blocks. Call them directly for cgroup and /proc entries, which are in memory, and for files of a few
/// KiB that the lab has just written: they are in the page cache and never synced. Use `Blocking.run` for larger ones:
/// boot files, images, captures, copies of programs, whole folders.
enum Files {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func read(_ path: String) throws -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw LabError.file(path: path, reason: "cannot be read: \(reason())")
        }
    }

    static func text(_ path: String) throws -> String { String(decoding: try read(path), as: UTF8.self) }

    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
        try write([UInt8](text.utf8), to: path, mode: mode)
    }

    /// Creates or truncates the file.
    ///
    /// It does not rename a temporary file, because cgroup files must be written in place.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw LabError.file(path: path, reason: "cannot be opened for writing: \(reason())") }
        defer { close(file) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw LabError.file(path: path, reason: "cannot be written: \(reason())") }
            written += count
        }
    }

    static func copy(_ path: String, to copy: String, mode: mode_t = 0o644) throws {
        try write(try read(path), to: copy, mode: mode)
    }

    /// Replaces the file atomically: a reader sees the old or the new text.
    static func replace(_ path: String, with text: String) throws {
        try write(text, to: "\(path).new")
        guard rename("\(path).new", path) == 0 else {
            throw LabError.file(path: path, reason: "cannot be replaced: \(reason())")
        }
    }

    static func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw LabError.file(path: path, reason: "cannot be created: \(error)")
        }
    }

    /// Creates a sparse file of zeros.
    static func makeImage(_ path: String, bytes: Int) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LabError.file(path: path, reason: "cannot be created: \(reason())") }
        defer { close(file) }
        guard ftruncate(file, bytes) == 0 else {
            throw LabError.file(path: path, reason: "cannot be extended to \(bytes) bytes (\(reason()))")
        }
    }

    static func entries(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Removes a file, or a folder with its contents; does nothing if it does not exist.
    static func remove(_ path: String) throws {
        guard exists(path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw LabError.file(path: path, reason: "cannot be removed: \(error)")
        }
    }

    /// Returns the last lines of a log, for an error message.
    static func tail(_ path: String, lines: Int = 12) -> String {
        guard let text = try? text(path) else { return "" }
        return text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }

    /// Returns the description of `errno`.
    ///
    /// Call it directly after the failed call.
    static func reason() -> String { String(cString: strerror(errno)) }
}
