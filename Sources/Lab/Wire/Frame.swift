// SPDX-License-Identifier: Apache-2.0

/// The offsets of the transport header and payload of an IPv4 packet in an Ethernet frame.
///
/// Describes only frames that can be rewritten: no fragments, IPv6 or truncated frames.
struct Frame: Equatable {
    static let tcp: UInt8 = 6
    static let udp: UInt8 = 17
    static let esp: UInt8 = 50

    var protocolNumber: UInt8
    /// Zero if the protocol has no ports.
    var sourcePort: UInt16 = 0
    var destinationPort: UInt16 = 0
    /// The payload of TCP or UDP; for other protocols everything after the IP header.
    ///
    /// Ethernet's padding is not part of it.
    var payload: Range<Int>
    /// The offset of the transport header; its checksum counts 16-bit words from here.
    var transport: Int
    /// The offset of the transport's checksum; `nil` if there is none.
    var checksum: Int?
    /// The addresses and ports, which identify the flow.
    var flow: Flow

    struct Flow: Hashable {
        var addresses: UInt64
        var ports: UInt32
    }

    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 34, bytes[12] == 0x08, bytes[13] == 0x00, bytes[14] >> 4 == 4 else { return nil }
        transport = 14 + Int(bytes[14] & 15) * 4
        let end = 14 + (Int(bytes[16]) << 8 | Int(bytes[17]))
        let isFragment = bytes[20] & 0x3f != 0 || bytes[21] != 0
        guard transport >= 34, end >= transport, end <= bytes.count, !isFragment else { return nil }
        protocolNumber = bytes[23]
        flow = Flow(addresses: Self.bigEndian(bytes[26..<34]), ports: 0)
        payload = transport..<end
        switch protocolNumber {
        case Self.tcp:
            guard end >= transport + 20 else { return nil }
            let data = transport + Int(bytes[transport + 12] >> 4) * 4
            guard data >= transport + 20, data <= end else { return nil }
            payload = data..<end
            checksum = transport + 16
        case Self.udp:
            guard end >= transport + 8 else { return nil }
            payload = transport + 8..<end
            let isChecked = bytes[transport + 6] != 0 || bytes[transport + 7] != 0
            checksum = isChecked ? transport + 6 : nil
        default: return
        }
        sourcePort = UInt16(Self.bigEndian(bytes[transport..<transport + 2]))
        destinationPort = UInt16(Self.bigEndian(bytes[transport + 2..<transport + 4]))
        flow.ports = UInt32(sourcePort) << 16 | UInt32(destinationPort)
    }

    private static func bigEndian(_ bytes: Slice<UnsafeRawBufferPointer>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}

extension Frame {
    /// Flips bits of one byte of the payload and updates the checksum incrementally (RFC 1624, equation 3).
    ///
    /// Only cryptography can then detect the change.
    func flip(_ mask: UInt8, at offset: Int, in bytes: UnsafeMutableRawBufferPointer) {
        let before = word(at: offset, in: bytes)
        bytes[offset] ^= mask
        guard let checksum else { return }
        let after = word(at: offset, in: bytes)
        let old = UInt16(bytes[checksum]) << 8 | UInt16(bytes[checksum + 1])
        var new = Self.updated(old, from: before, to: after)
        // In UDP, zero means that there is no checksum; 0xffff is the other form of the same value.
        if protocolNumber == Self.udp, new == 0 { new = 0xffff }
        bytes[checksum] = UInt8(new >> 8)
        bytes[checksum + 1] = UInt8(truncatingIfNeeded: new)
    }

    /// Returns the checksum's 16-bit word that contains the byte; an odd last byte is padded with zero.
    private func word(at offset: Int, in bytes: UnsafeMutableRawBufferPointer) -> UInt16 {
        let start = offset - (offset - transport) % 2
        let low = start + 1 < payload.upperBound ? bytes[start + 1] : 0
        return UInt16(bytes[start]) << 8 | UInt16(low)
    }

    static func updated(_ checksum: UInt16, from before: UInt16, to after: UInt16) -> UInt16 {
        var sum = UInt32(~checksum) + UInt32(~before) + UInt32(after)
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
