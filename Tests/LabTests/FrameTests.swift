// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

/// Frames rewritten in transit: their content, and that only cryptography detects the change.
struct FrameTests {
    @Test func `a TCP segment's payload excludes the Ethernet padding`() throws {
        let bytes = Self.tcp(payload: Array("hello".utf8), padding: 9)
        let frame = try #require(Self.parsed(bytes))
        #expect(Array(bytes[frame.payload]) == Array("hello".utf8))
        #expect(frame.sourcePort == 40000 && frame.destinationPort == 49152)
    }

    @Test func `fragments and truncated frames are left alone`() {
        var fragment = Self.tcp(payload: [1, 2, 3, 4])
        fragment[20] = 0x20
        #expect(Self.parsed(fragment) == nil)
        #expect(Self.parsed(Array(Self.tcp(payload: [1, 2, 3, 4]).dropLast())) == nil)
        #expect(Self.parsed([UInt8](repeating: 0, count: 60)) == nil)
    }

    @Test func `a flipped bit leaves a correct checksum`() throws {
        var random = SplitMix64(seed: 20_261_125)
        for _ in 0..<2000 {
            let payload = (0..<1 + random.below(200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let isTCP = random.below(2) == 0
            var bytes = isTCP ? Self.tcp(payload: payload) : Self.udp(payload: payload)
            let before = bytes
            let frame = try #require(Self.parsed(bytes))
            let offset = frame.payload.lowerBound + random.below(payload.count)
            let mask = UInt8(1) << UInt8(random.below(8))
            bytes.withUnsafeMutableBytes { frame.flip(mask, at: offset, in: $0) }
            #expect(bytes[offset] == before[offset] ^ mask)
            #expect(Self.checksumIsRight(bytes), "seed 20261125, \(isTCP ? "TCP" : "UDP"), \(payload.count) bytes")
            let changed = bytes.indices.filter { bytes[$0] != before[$0] }
            let allowed = Set([offset] + (frame.checksum.map { [$0, $0 + 1] } ?? []))
            #expect(allowed.isSuperset(of: changed))
        }
    }

    @Test func `a datagram without a checksum stays without one`() throws {
        var bytes = Self.udp(payload: [1, 2, 3, 4, 5], checked: false)
        let frame = try #require(Self.parsed(bytes))
        bytes.withUnsafeMutableBytes { frame.flip(1, at: frame.payload.lowerBound, in: $0) }
        #expect(bytes[40] == 0 && bytes[41] == 0)
    }

    // MARK: frames

    static func parsed(_ bytes: [UInt8]) -> Frame? { bytes.withUnsafeBytes { Frame($0) } }

    static func tcp(
        payload: [UInt8],
        ports: (UInt16, UInt16) = (40000, 49152),
        padding: Int = 0
    ) -> [UInt8] {
        let header: [UInt8] =
            [UInt8(ports.0 >> 8), UInt8(ports.0 & 0xff), UInt8(ports.1 >> 8), UInt8(ports.1 & 0xff)]
            + [0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]
        return finished(Frame.tcp, header + payload, checksumAt: 16) + [UInt8](repeating: 0xaa, count: padding)
    }

    static func udp(
        payload: [UInt8],
        ports: (UInt16, UInt16) = (4500, 4500),
        checked: Bool = true
    ) -> [UInt8] {
        let length = 8 + payload.count
        let header: [UInt8] =
            [UInt8(ports.0 >> 8), UInt8(ports.0 & 0xff), UInt8(ports.1 >> 8), UInt8(ports.1 & 0xff)]
            + [UInt8(length >> 8), UInt8(length & 0xff), 0, 0]
        return finished(Frame.udp, header + payload, checksumAt: checked ? 6 : nil)
    }

    private static func finished(_ number: UInt8, _ content: [UInt8], checksumAt place: Int?) -> [UInt8] {
        let length = 20 + content.count
        var bytes = [UInt8](repeating: 2, count: 12) + [0x08, 0x00]
        bytes += [0x45, 0, UInt8(length >> 8), UInt8(length & 0xff), 0, 0, 0x40, 0, 64, number, 0, 0]
        bytes += [10, 77, 0, 1, 10, 77, 0, 2] + content
        if let place {
            let sum = checksum(bytes)
            bytes[34 + place] = UInt8(sum >> 8)
            bytes[34 + place + 1] = UInt8(sum & 0xff)
        }
        return bytes
    }

    /// Covers the pseudo header and everything after the IP header (RFC 793, 768); computed in full, not incrementally.
    private static func checksum(_ frame: [UInt8]) -> UInt16 {
        let content = Array(frame[34..<14 + (Int(frame[16]) << 8 | Int(frame[17]))])
        var words =
            Array(frame[26..<34]) + [0, frame[23], UInt8(content.count >> 8), UInt8(content.count & 0xff)] + content
        if words.count % 2 == 1 { words.append(0) }
        var sum = stride(from: 0, to: words.count, by: 2).reduce(0 as UInt32) {
            $0 + (UInt32(words[$1]) << 8 | UInt32(words[$1 + 1]))
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        let result = ~UInt16(sum)
        return result == 0 && frame[23] == Frame.udp ? 0xffff : result
    }

    /// A sum over everything, including the checksum, is zero in one's complement.
    static func checksumIsRight(_ frame: [UInt8]) -> Bool {
        let sum = checksum(frame)
        return sum == 0 || sum == 0xffff
    }
}
