// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Lab

struct TrafficByKindTests {
    @Test(arguments: [
        (Array("QEVM".utf8) + [0, 0, 0, 3], "QEMU stream in the clear"),
        ([0x16, 0x03, 0x01, 0x02, 0x00], "TLS"),
        (Array("SSH-2.0-OpenSSH".utf8), "ssh"),
        (Array("anything".utf8), "TCP 40000"),
    ])
    func `the beginning of a connection determines its kind`(beginning: [UInt8], kind: String) {
        var sorter = TrafficSorter()
        #expect(sorter.kind(of: packet(FrameTests.tcp(payload: []))) == "TCP 40000", "no data was sent yet")
        #expect(sorter.kind(of: packet(FrameTests.tcp(payload: beginning))) == kind)
        // The following packets, in both directions.
        #expect(sorter.kind(of: packet(FrameTests.tcp(payload: [0xff, 0xff]))) == kind)
        var back = FrameTests.tcp(payload: [1, 2], ports: (49152, 40000))
        for index in 0..<4 { back.swapAt(26 + index, 30 + index) }
        #expect(sorter.kind(of: packet(back)) == kind)
    }

    @Test func `ESP and other protocols are named`() {
        var sorter = TrafficSorter()
        #expect(sorter.kind(of: packet(FrameTests.udp(payload: [1, 2, 3, 4, 5]))) == "ESP in UDP")
        #expect(sorter.kind(of: packet(FrameTests.udp(payload: [0, 0, 0, 0, 5]))) == "IKE")
    }

    private func packet(_ bytes: [UInt8]) -> Packet {
        Packet(number: 1, at: Instant(milliseconds: 0), originalLength: bytes.count, bytes: bytes)
    }
}
