// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A captured Ethernet frame.
public struct Packet: Sendable, Equatable {
    /// The packet's number, from 1 as in Wireshark.
    public var number: Int
    public var at: Instant
    /// Its length on the wire; `bytes` is shorter if the capture truncated it.
    public var originalLength: Int
    public var bytes: [UInt8]

    public init(number: Int, at: Instant, originalLength: Int, bytes: [UInt8]) {
        self.number = number
        self.at = at
        self.originalLength = originalLength
        self.bytes = bytes
    }

    /// Returns the number of non-overlapping occurrences of a byte string.
    public func occurrences(of needle: [UInt8]) -> Int { offsets(of: needle).count }

    /// Returns the offsets of the non-overlapping occurrences of a byte string.
    public func offsets(of needle: [UInt8]) -> [Int] {
        bytes.withUnsafeBytes { ByteSearch.offsets(of: needle, in: $0) }
    }

    /// Returns the frame as in Wireshark's bytes pane: offset, 16 bytes in hexadecimal, the same bytes as text.
    public func dump(from: Int = 0, lines: Int = .max) -> String {
        var text: [String] = []
        var offset = max(0, from) / 16 * 16
        while offset < bytes.count, text.count < lines {
            let row = bytes[offset..<min(offset + 16, bytes.count)]
            var columns = row.map { hexadecimal(UInt64($0), digits: 2) }
            columns += Array(repeating: "  ", count: 16 - columns.count)
            let left = columns[..<8].joined(separator: " ")
            let right = columns[8...].joined(separator: " ")
            let characters = row.map { (0x20..<0x7f).contains($0) ? Character(UnicodeScalar($0)) : "." }
            text.append("\(hexadecimal(UInt64(offset), digits: 4))  \(left)  \(right)  \(String(characters))")
            offset += 16
        }
        return text.joined(separator: "\n")
    }

    /// One line: `10.77.0.1 → 10.77.0.2  ESP in UDP  4500 → 4500  SPI 0xc1c2c3c4  1442 bytes`.
    public var summary: String {
        guard let ip = internet else { return "\(link)  \(originalLength) bytes" }
        let ends = "\(ip.source) → \(ip.destination)"
        var parts = [ends, ip.name]
        if let ports = ip.ports { parts.append("\(ports.source) → \(ports.destination)") }
        if let spi = ip.spi { parts.append("SPI 0x\(hexadecimal(UInt64(spi), digits: 8))") }
        return (parts + ["\(originalLength) bytes"]).joined(separator: "  ")
    }

    /// The innermost protocol that is known, such as `ESP in UDP`, `IKE` or `ARP`.
    var protocolName: String { internet?.name ?? link }

    /// Encapsulating Security Payload, bare or in UDP.
    public var isESP: Bool { internet?.spi != nil }
}

extension Packet {
    private struct Internet {
        var source: String
        var destination: String
        var name: String
        var ports: (source: UInt16, destination: UInt16)?
        /// The ESP security parameters index.
        var spi: UInt32?
    }

    private static let nattPort: UInt16 = 4500

    private func short(_ offset: Int) -> UInt16? {
        offset + 2 <= bytes.count ? UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1]) : nil
    }

    private func word(_ offset: Int) -> UInt32? {
        guard let high = short(offset), let low = short(offset + 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    /// The description of a frame that is not IPv4.
    private var link: String {
        switch short(12) {
        case 0x0806: "ARP"
        case 0x86dd: "IPv6"
        case let type?: "Ethernet type 0x\(hexadecimal(UInt64(type), digits: 4))"
        case nil: "a cut frame"
        }
    }

    private var internet: Internet? {
        guard short(12) == 0x0800, bytes.count >= 34, bytes[14] >> 4 == 4 else { return nil }
        let transport = 14 + Int(bytes[14] & 15) * 4
        var ip = Internet(source: address(26), destination: address(30), name: "")
        let fragment = (short(20) ?? 0) & 0x1fff
        switch bytes[23] {
        case 1: ip.name = "ICMP"
        case 6: ip.name = "TCP"
        case 17: ip.name = "UDP"
        case 50: ip.name = "ESP"
        default: ip.name = "IP protocol \(bytes[23])"
        }
        // Only the first fragment has the header of the inner protocol.
        guard fragment == 0 else { return ip }
        if bytes[23] == 50 { ip.spi = word(transport) }
        if bytes[23] == 6 || bytes[23] == 17, let source = short(transport), let destination = short(transport + 2) {
            ip.ports = (source, destination)
        }
        if bytes[23] == 17, ip.ports?.source == Self.nattPort || ip.ports?.destination == Self.nattPort,
            let first = word(transport + 8)
        {
            // IKE on this port begins with four zero bytes in place of ESP's SPI (RFC 3948).
            ip.name = first == 0 ? "IKE" : "ESP in UDP"
            ip.spi = first == 0 ? nil : first
        }
        return ip
    }

    private func address(_ offset: Int) -> String {
        bytes[offset..<offset + 4].map { String($0) }.joined(separator: ".")
    }
}
