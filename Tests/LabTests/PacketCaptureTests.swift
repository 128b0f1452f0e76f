// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Lab
import Testing

struct PacketCaptureTests {
    @Test func `packets are read with time, number and length`() throws {
        try withCapture([Self.frame(payload: "one"), Self.frame(payload: "two")]) { capture in
            var seen: [Packet] = []
            try capture.forEach { packet in
                seen.append(packet)
                return true
            }
            #expect(seen.map(\.number) == [1, 2])
            #expect(seen.map(\.at.milliseconds) == [1_000_500, 1_001_500])
            #expect(seen.map(\.originalLength) == [57, 57])
        }
    }

    @Test func `the other byte order is read`() throws {
        try withCapture([Self.frame(payload: "one")], bigEndian: true) { capture in
            var times: [Int64] = []
            try capture.forEach { packet in
                times.append(packet.at.milliseconds)
                return true
            }
            #expect(times == [1_000_500])
        }
    }

    @Test func `every occurrence is counted, and the first packet with one is kept`() async throws {
        let frames = ["nothing", "SECRET SECRET", "SECRE", "SECRET"].map { Self.frame(payload: $0) }
        try await withCapture(frames) { capture in
            let found = try await capture.search(for: "SECRET")
            #expect(found.packets == 4)
            #expect(found.occurrences == 3)
            #expect(found.packetsWithOccurrence == 2)
            #expect(found.firstWithOccurrence?.number == 2)
            let later = try await capture.search(for: "SECRET", from: Instant(milliseconds: 1_002_000))
            #expect(later.occurrences == 1)
        }
    }

    @Test func `reading ends before a truncated packet`() async throws {
        try await withCapture([Self.frame(payload: "SECRET"), Self.frame(payload: "SECRET")], cut: 3) { capture in
            let found = try await capture.search(for: "SECRET")
            #expect(found.packets == 1)
        }
    }

    @Test func `a file that is not a capture is refused`() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "ekl-\(UUID()).pcap").path
        try Data("this is not a capture at all".utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: LabError.self) { try PacketCapture(path: path).forEach { _ in true } }
        #expect(throws: LabError.self) { try PacketCapture(path: "\(path).no").forEach { _ in true } }
    }

    @Test func `a packet is dumped in Wireshark's format`() {
        let packet = Packet(
            number: 1,
            at: Instant(milliseconds: 0),
            originalLength: 20,
            bytes: Array("0123456789ABCDEF\u{1}xyz".utf8)
        )
        #expect(
            packet.dump() == """
                0000  30 31 32 33 34 35 36 37  38 39 41 42 43 44 45 46  0123456789ABCDEF
                0010  01 78 79 7a                                       .xyz
                """
        )
        #expect(packet.dump(from: 18, lines: 1).hasPrefix("0010  01"))
    }

    @Test func `a packet is described in one line`() async throws {
        let esp: [UInt8] = [0xc1, 0xc2, 0xc3, 0xc4] + [UInt8](repeating: 9, count: 1200)
        let ike: [UInt8] = [0, 0, 0, 0] + [UInt8](repeating: 9, count: 100)
        let tcp = Packet(number: 1, at: Instant(milliseconds: 0), originalLength: 57, bytes: Self.frame(payload: "one"))
        #expect(tcp.summary == "10.77.0.1 → 10.77.0.2  TCP  49152 → 4500  57 bytes")
        #expect(!tcp.isESP)
        try await withCapture([
            Self.frame(payload: "x"), Self.frame(udp: ike), Self.frame(udp: esp),
        ]) { capture in
            let found = try await capture.search(for: "SECRET")
            #expect(found.espPackets == 1)
            let summary = "10.77.0.1 → 10.77.0.2  ESP in UDP  4500 → 4500  SPI 0xc1c2c3c4  1246 bytes"
            #expect(found.firstESP?.summary == summary)
        }
        let arp = [UInt8](repeating: 0, count: 12) + [0x08, 0x06, 0, 1]
        #expect(
            Packet(number: 1, at: Instant(milliseconds: 0), originalLength: 16, bytes: arp).summary == "ARP  16 bytes"
        )
    }

    // MARK: building captures

    private static func frame(payload: String) -> [UInt8] {
        // TCP from 49152 to 4500, header of 20 bytes.
        let header: [UInt8] =
            [0xc0, 0, 0x11, 0x94] + [UInt8](repeating: 0, count: 8) + [0x50, 0] + [0, 0, 0, 0, 0, 0]
        return internet(protocol: 6, header + Array(payload.utf8))
    }

    private static func frame(udp payload: [UInt8]) -> [UInt8] {
        internet(protocol: 17, [0x11, 0x94, 0x11, 0x94, 0, 0, 0, 0] + payload)
    }

    private static func internet(protocol number: UInt8, _ content: [UInt8]) -> [UInt8] {
        let ethernet = [UInt8](repeating: 2, count: 12) + [0x08, 0x00]
        let header: [UInt8] = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, number, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2]
        return ethernet + header + content
    }

    private func file(_ frames: [[UInt8]], bigEndian: Bool, cut: Int) throws -> String {
        func word(_ value: Int) -> [UInt8] {
            let bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            return bigEndian ? bytes.reversed() : bytes
        }
        var bytes = word(0xa1b2_c3d4) + word(bigEndian ? 0x0002_0004 : 0x0004_0002)
        bytes += word(0) + word(0) + word(262_144) + word(1)
        for (index, frame) in frames.enumerated() {
            bytes += word(1000 + index) + word(500_000) + word(frame.count) + word(frame.count) + frame
        }
        let path = FileManager.default.temporaryDirectory.appending(path: "ekl-\(UUID()).pcap").path
        try Data(bytes.dropLast(cut)).write(to: URL(filePath: path))
        return path
    }

    private func withCapture(
        _ frames: [[UInt8]],
        cut: Int = 0,
        _ body: (PacketCapture) async throws -> Void
    ) async throws {
        let path = try file(frames, bigEndian: false, cut: cut)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(PacketCapture(path: path))
    }

    private func withCapture(
        _ frames: [[UInt8]],
        bigEndian: Bool = false,
        _ body: (PacketCapture) throws -> Void
    ) throws {
        let path = try file(frames, bigEndian: bigEndian, cut: 0)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(PacketCapture(path: path))
    }
}
