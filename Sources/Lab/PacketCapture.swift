// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet
internal import Glibc

/// A capture file of Ethernet frames in classic pcap format, read packet by packet.
///
/// Reads files of either byte order, with microseconds or nanoseconds. An incomplete last packet is ignored.
public struct PacketCapture: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    /// Calls `body` for each packet in turn until it returns `false`.
    ///
    /// Blocks: call it outside the cooperative pool.
    public func forEach(_ body: (Packet) throws -> Bool) throws {
        guard let file = fopen(path, "re") else {
            throw LabError.file(path: path, reason: "cannot be opened: \(Files.reason())")
        }
        defer { fclose(file) }
        var header = [UInt8](repeating: 0, count: 24)
        guard fread(&header, 1, 24, file) == 24, let format = Format(header: header) else {
            throw LabError.file(path: path, reason: "is not a pcap file of Ethernet frames")
        }
        var number = 0
        var record = [UInt8](repeating: 0, count: 16)
        while fread(&record, 1, 16, file) == 16 {
            let length = Int(format.word(record, at: 8))
            guard length <= Self.longestPacket else {
                throw LabError.file(
                    path: path,
                    reason: "packet \(number + 1) claims \(length) bytes: the file is damaged"
                )
            }
            var bytes = [UInt8](repeating: 0, count: length)
            guard fread(&bytes, 1, length, file) == length else { return }
            number += 1
            let milliseconds =
                Int64(format.word(record, at: 0)) * 1000
                + Int64(format.word(record, at: 4)) / format.fractionsPerMillisecond
            let packet = Packet(
                number: number,
                at: Instant(milliseconds: milliseconds),
                originalLength: Int(format.word(record, at: 12)),
                bytes: bytes
            )
            guard try body(packet) else { return }
        }
    }

    private static let longestPacket = 1 << 20

    /// The byte order and time resolution from the file's header.
    private struct Format {
        var swapped: Bool
        var fractionsPerMillisecond: Int64

        init?(header: [UInt8]) {
            switch Array(header[..<4]) {
            case [0xd4, 0xc3, 0xb2, 0xa1]: (swapped, fractionsPerMillisecond) = (false, 1000)
            case [0xa1, 0xb2, 0xc3, 0xd4]: (swapped, fractionsPerMillisecond) = (true, 1000)
            case [0x4d, 0x3c, 0xb2, 0xa1]: (swapped, fractionsPerMillisecond) = (false, 1_000_000)
            case [0xa1, 0xb2, 0x3c, 0x4d]: (swapped, fractionsPerMillisecond) = (true, 1_000_000)
            default: return nil
            }
            let ethernet: UInt32 = 1
            guard word(header, at: 20) & 0xffff == ethernet else { return nil }
        }

        func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
            let word = (0..<4).reduce(0 as UInt32) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
            return swapped ? word.byteSwapped : word
        }
    }
}

/// The results of a search in a capture.
public struct CaptureFindings: Sendable, Equatable {
    public var packets = 0
    /// Bytes on the wire.
    public var bytes: UInt64 = 0
    /// Number of ESP packets (in UDP or not) and their bytes.
    public var espPackets = 0
    public var espBytes: UInt64 = 0
    /// Number of occurrences of the byte string.
    ///
    /// An occurrence that is split across two packets is not counted.
    public var occurrences = 0
    public var packetsWithOccurrence = 0
    public var firstWithOccurrence: Packet?
    /// The first large ESP packet, shown next to `firstWithOccurrence`.
    public var firstESP: Packet?
}

extension PacketCapture {
    /// Searches all packets for a byte string, off the cooperative pool.
    ///
    /// `from` and `to` limit the search to a period.
    public func search(for text: String, from: Instant? = nil, to: Instant? = nil) async throws -> CaptureFindings {
        let needle = Array(text.utf8)
        return try await Blocking.run {
            var findings = CaptureFindings()
            try forEach { packet in
                if let from, packet.at < from { return true }
                if let to, packet.at > to { return true }
                findings.add(packet, occurrences: packet.occurrences(of: needle))
                return true
            }
            return findings
        }
    }
}

extension CaptureFindings {
    /// Size in bytes above which an ESP packet carries data, not the end of a key exchange or an acknowledgement.
    private static let largePacket = 1000

    fileprivate mutating func add(_ packet: Packet, occurrences count: Int) {
        packets += 1
        bytes += UInt64(packet.originalLength)
        if packet.isESP {
            espPackets += 1
            espBytes += UInt64(packet.originalLength)
            if firstESP == nil, packet.originalLength > Self.largePacket { firstESP = packet }
        }
        guard count > 0 else { return }
        occurrences += count
        packetsWithOccurrence += 1
        if firstWithOccurrence == nil { firstWithOccurrence = packet }
    }
}
