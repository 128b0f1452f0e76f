// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Bytes read from a segment that have not been returned as lines yet.
struct PendingLine {
    private var bytes: [UInt8] = []
    /// The index in `bytes` at which the next line begins.
    private var start = 0
    /// The index in `bytes` up to which there is no newline after `start`.
    private var searched = 0
    /// Number of dropped bytes of a line that is too long.
    private var dropped = 0

    /// The number of bytes after the last returned line.
    var length: Int { dropped + bytes.count - start }

    /// Adds the next bytes; of a line longer than `maximum` only the length is kept.
    mutating func add(_ chunk: [UInt8], keeping maximum: Int) {
        if bytes.count - start > maximum {
            dropped += bytes.count - start
            bytes = []
        } else {
            bytes.removeFirst(start)
        }
        start = 0
        searched = bytes.count
        bytes += chunk
    }

    /// Returns the next complete line, which begins at `cursor`; `nil` if its newline has not been read yet.
    mutating func takeLine(at cursor: Cursor) -> RawBatch.Line? {
        guard let newline = indexOfNewline() else {
            searched = bytes.count
            return nil
        }
        defer {
            start = newline + 1
            searched = start
            dropped = 0
        }
        let length = dropped + newline - start
        guard dropped == 0 else { return RawBatch.Line(at: cursor, bytes: [], defect: .tooLong, length: length) }
        return RawBatch.Line(at: cursor, bytes: Array(bytes[start..<newline]), length: length)
    }

    private func indexOfNewline() -> Int? {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress, searched < buffer.count else { return nil }
            // memchr, because records can be long and a search element by element is slow in debug builds.
            return memchr(base + searched, Int32(LineCodec.newline), buffer.count - searched).map {
                $0 - UnsafeMutableRawPointer(mutating: base)
            }
        }
    }
}
