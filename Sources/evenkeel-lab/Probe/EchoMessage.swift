// SPDX-License-Identifier: Apache-2.0

/// An ICMP echo request, which also recognises its reply.
struct EchoMessage: Equatable {
    enum Family: Sendable, Equatable { case v4, v6 }

    var family: Family
    var identifier: UInt16
    var sequence: UInt16
    /// Distinguishes our replies from those to other programs, whatever identifier the kernel assigned.
    var cookie: UInt64

    private var types: (request: UInt8, reply: UInt8) { family == .v4 ? (8, 0) : (128, 129) }

    /// The ICMP message with its checksum; for IPv6 the kernel computes the checksum.
    var bytes: [UInt8] {
        var bytes: [UInt8] = [types.request, 0, 0, 0]
        bytes += [UInt8(identifier >> 8), UInt8(truncatingIfNeeded: identifier)]
        bytes += [UInt8(sequence >> 8), UInt8(truncatingIfNeeded: sequence)]
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: cookie >> (56 - 8 * UInt64($0))) }
        guard family == .v4 else { return bytes }
        let sum = Self.checksum(bytes)
        bytes[2] = UInt8(sum >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: sum)
        return bytes
    }

    /// Returns the sequence number of a reply to one of our requests; `nil` for any other message.
    ///
    /// A raw IPv4 socket also delivers the IP header.
    static func replySequence(
        in bytes: ArraySlice<UInt8>,
        family: Family,
        cookie: UInt64,
        hasInternetHeader: Bool
    ) -> UInt16? {
        var message = bytes
        if hasInternetHeader {
            guard let first = message.first, first >> 4 == 4 else { return nil }
            message = message.dropFirst(Int(first & 15) * 4)
        }
        let expected = EchoMessage(family: family, identifier: 0, sequence: 0, cookie: cookie)
        guard message.count >= 16, message.first == expected.types.reply else { return nil }
        let start = message.startIndex
        let found = message[start + 8..<start + 16].reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        guard found == cookie else { return nil }
        return UInt16(message[start + 6]) << 8 | UInt16(message[start + 7])
    }

    /// The Internet checksum (RFC 1071).
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
