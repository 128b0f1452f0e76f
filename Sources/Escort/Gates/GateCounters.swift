// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import FoundationEssentials

/// Packets and bytes that the gates have dropped.
public struct GateCounters: Sendable, Equatable, Codable {
    public struct Count: Sendable, Equatable, Codable {
        public var packets: UInt64
        public var bytes: UInt64
    }
    /// Traffic to this host's inner address that did not arrive through the tunnel.
    public var inbound: Count
    /// Traffic from this host's or to a peer's inner address that would not enter the tunnel.
    ///
    /// Also new connections, inbound or outbound, for which the gates' sets had no room.
    public var outbound: Count
    /// Forwarded traffic from or to inner addresses, or to a peer's migration ports.
    public var forwarded: Count
    /// New connections to the migration ports from hosts without an open pinhole.
    public var unplanned: Count
    /// Migrations in the clear, inbound or outbound, that no operator requested.
    public var clear: Count
    /// Traffic to libvirt's unencrypted port from outside the tunnel.
    public var libvirt: Count

    static let names = [
        "dropped_in", "dropped_out", "dropped_forwarded", "dropped_unplanned", "dropped_clear", "dropped_libvirt",
    ]

    /// The packets of all counters.
    var packets: UInt64 {
        inbound.packets + outbound.packets + forwarded.packets + unplanned.packets + clear.packets + libvirt.packets
    }

    /// Takes the counters by their names; `nil` if one is missing.
    init?(named counters: [String: Count]) {
        let counts = Self.names.compactMap { counters[$0] }
        guard counts.count == Self.names.count else { return nil }
        inbound = counts[0]
        outbound = counts[1]
        forwarded = counts[2]
        unplanned = counts[3]
        // Outbound migrations in the clear are counted separately for each peer.
        clear = counters.filter { $0.key.hasPrefix(Gates.clearPrefix) }.values.reduce(into: counts[4]) {
            $0.packets += $1.packets
            $0.bytes += $1.bytes
        }
        libvirt = counts[5]
    }

    static let list = Command("nft", ["-j", "list", "counters", "table", "inet", Gates.table])

    /// Returns every named counter in the output of `nft -j list counters`.
    static func all(json: String) throws -> [String: Count] {
        struct Reply: Decodable {
            struct Item: Decodable { var counter: Counter? }
            struct Counter: Decodable {
                var name: String
                var packets: UInt64
                var bytes: UInt64
            }
            var nftables: [Item]
        }
        let reply = try JSONDecoder().decode(Reply.self, from: Data(json.utf8))
        var counters: [String: Count] = [:]
        for counter in reply.nftables.compactMap(\.counter) {
            counters[counter.name] = Count(packets: counter.packets, bytes: counter.bytes)
        }
        return counters
    }
}
