// SPDX-License-Identifier: Apache-2.0
internal import Crypto

/// A line that this host has read or written: its position, and the SHA-256 of its bytes in hexadecimal.
struct LedgerMark: Codable, Sendable, Equatable {
    var at: Cursor
    var digest: String

    init(at place: Cursor, line: some Sequence<UInt8>) {
        at = place
        digest = SHA256.hash(data: Array(line)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// The last line of a log that was read: a power cut may take it before its writer has synced it.
struct FreshLine: Sendable {
    var mark: LedgerMark
    /// The position after the line.
    var end: Cursor
    var readAt: ContinuousClock.Instant

    init(_ line: RawBatch.Line, readAt instant: ContinuousClock.Instant) {
        mark = LedgerMark(at: line.at, line: line.bytes)
        end = Cursor(segment: line.at.segment, offset: line.at.offset + Int64(line.length + 1))
        readAt = instant
    }
}
