// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Why a source has no figure; a sample records this reason, never a zero.
struct SourceError: Error, CustomStringConvertible {
    var description: String
}

/// Reads a small text file of /proc or /sys.
func readText(_ path: String) throws(SourceError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        throw SourceError(description: "cannot open \(path): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else {
            throw SourceError(description: "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        if count == 0 { return String(decoding: bytes, as: UTF8.self) }
        bytes += buffer[..<count]
    }
}

func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

/// Reads the lines `key value` of a file such as /proc/meminfo or cpu.stat, without colons and units.
func readTable(_ path: String) throws(SourceError) -> [String: UInt64] {
    var table: [String: UInt64] = [:]
    for line in try readText(path).split(separator: "\n") {
        let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
        if fields.count >= 2, let value = UInt64(fields[1]) { table[String(fields[0])] = value }
    }
    return table
}

func readNumber(_ path: String) throws(SourceError) -> UInt64 {
    let text = try readText(path).filter { !$0.isWhitespace }
    guard let number = UInt64(text) else { throw SourceError(description: "\(path) holds '\(text)', not a number") }
    return number
}
