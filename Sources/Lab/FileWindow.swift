// SPDX-License-Identifier: Apache-2.0
internal import Glibc

enum FileWindow {
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
