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

extension RawBatch {
    /// The last line that every later reader will find unchanged.
    var lastMark: LedgerMark? {
        lines.last { $0.defect == nil }.map { LedgerMark(at: $0.at, line: $0.bytes) }
    }
}
