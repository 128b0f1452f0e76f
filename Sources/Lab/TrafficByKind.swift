// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// Packets and their bytes on the wire.
public struct Traffic: Sendable, Codable, Equatable {
    public var packets = 0
    public var bytes: UInt64 = 0

    public init(packets: Int = 0, bytes: UInt64 = 0) {
        self.packets = packets
        self.bytes = bytes
    }
}

/// The findings of an eavesdropper in one capture.
public struct Eavesdropping: Sendable, Codable, Equatable {
    public var packets = 0
    public var bytes: UInt64 = 0
    /// Number of occurrences of the secret; one that is split across two packets is not counted.
    public var secrets = 0
    /// Pieces of the guest's other memory that were recognised.
    public var memoryPieces = 0
    /// Traffic by protocol: `ESP in UDP`, `TLS`, `ssh`, `QEMU stream in the clear`, `TCP 49152`.
    public var kinds: [String: Traffic] = [:]

    public init() {}
}

/// Distinguishes TCP connections by their first bytes.
struct TrafficSorter {
    private var kinds: [Frame.Flow: String] = [:]

    mutating func kind(of packet: Packet) -> String {
        let frame = packet.bytes.withUnsafeBytes { Frame($0) }
        guard let frame, frame.protocolNumber == Frame.tcp else {
            return packet.protocolName
        }
        let flow = Self.undirected(frame.flow)
        if let known = kinds[flow] { return known }
        guard let kind = Self.kind(beginning: packet.bytes[frame.payload]) else {
            // No data yet, or the connection started before the capture.
            return "TCP \(min(frame.sourcePort, frame.destinationPort))"
        }
        let port = min(frame.sourcePort, frame.destinationPort)
        kinds[flow] = kind.isEmpty ? "TCP \(port)" : kind
        return kinds[flow] ?? kind
    }

    /// Returns the kind for the first bytes: `""` if they are unknown, `nil` if there are none.
    private static func kind(beginning payload: ArraySlice<UInt8>) -> String? {
        if payload.isEmpty { return nil }
        if payload.starts(with: Array("QEVM".utf8)) { return "QEMU stream in the clear" }
        if payload.starts(with: Array("SSH-".utf8)) { return "ssh" }
        // A handshake record of any TLS version (RFC 8446, 5.1).
        if payload.starts(with: [0x16, 0x03]) { return "TLS" }
        return ""
    }

    private static func undirected(_ flow: Frame.Flow) -> Frame.Flow {
        let turned = Frame.Flow(
            addresses: flow.addresses << 32 | flow.addresses >> 32,
            ports: flow.ports << 16 | flow.ports >> 16
        )
        return flow.addresses < turned.addresses ? flow : turned
    }
}

extension PacketCapture {
    /// Searches the whole capture for a secret and for pieces of memory, off the cooperative pool.
    public func eavesdrop(secret: String, memory: [[UInt8]]) async throws -> Eavesdropping {
        let needle = Array(secret.utf8)
        return try await Blocking.run {
            var heard = Eavesdropping()
            var sorter = TrafficSorter()
            try forEach { packet in
                heard.packets += 1
                heard.bytes += UInt64(packet.originalLength)
                heard.secrets += packet.occurrences(of: needle)
                heard.memoryPieces += memory.reduce(0) { $0 + packet.occurrences(of: $1) }
                let kind = sorter.kind(of: packet)
                heard.kinds[kind, default: Traffic()].packets += 1
                heard.kinds[kind, default: Traffic()].bytes += UInt64(packet.originalLength)
                return true
            }
            return heard
        }
    }
}
