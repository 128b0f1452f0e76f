// SPDX-License-Identifier: Apache-2.0
internal import Glibc

enum FileWindow {
    /// Returns the number of bytes of a file; 0 if it does not exist.
    static func size(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Returns the text of a file from an offset to its end.
    static func text(_ path: String, from offset: Int) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw LabError.file(path: path, reason: "cannot be opened: \(Files.reason())") }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: max(0, size(of: path) - offset))
        let count = pread(file, &buffer, buffer.count, offset)
        guard count >= 0 else { throw LabError.file(path: path, reason: "cannot be read: \(Files.reason())") }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Returns the first bytes of a file, fewer if it is shorter.
    ///
    /// Blocks: call it outside the cooperative pool.
    static func read(_ path: String, bytes: Int) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw LabError.file(path: path, reason: "cannot be opened: \(Files.reason())") }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: bytes)
        var filled = 0
        while filled < bytes {
            let count = buffer[filled...].withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress, $0.count) }
            guard count >= 0 else { throw LabError.file(path: path, reason: "cannot be read: \(Files.reason())") }
            if count == 0 { break }
            filled += count
        }
        return Array(buffer[..<filled])
    }
}
