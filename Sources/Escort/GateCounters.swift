// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import FoundationEssentials

/// What the gates dropped so far.
public struct GateCounters: Sendable, Equatable, Codable {
    public struct Count: Sendable, Equatable, Codable {
        public var packets: UInt64
        public var bytes: UInt64
    }
    /// Addressed to this host's inner address, but not through the tunnel.
    public var inbound: Count
    /// From this host's or to a peer's inner address, but not through the tunnel; and connections, opened or accepted,
    /// that the gates had no room to remember.
    public var outbound: Count
    /// Inner addresses that others tried to pass through this host.
    public var forwarded: Count
    /// Connections to the migration ports from anybody for whom no pinhole was open.
    public var unplanned: Count
    /// Migrations in the clear, in or out, for which nobody had asked by name.
    public var clear: Count
    /// libvirt's unencrypted port, outside the tunnel.
    public var libvirt: Count

    static let names = [
        "dropped_in", "dropped_out", "dropped_forwarded", "dropped_unplanned", "dropped_clear", "dropped_libvirt",
    ]

    /// All of them.
    var packets: UInt64 {
        inbound.packets + outbound.packets + forwarded.packets + unplanned.packets + clear.packets + libvirt.packets
    }

    /// `nil` when one is missing.
    init?(named counters: [String: Count]) {
        let counts = Self.names.compactMap { counters[$0] }
        guard counts.count == Self.names.count else { return nil }
        inbound = counts[0]
        outbound = counts[1]
        forwarded = counts[2]
        unplanned = counts[3]
        // What this host was about to send is counted for each peer.
        clear = counters.filter { $0.key.hasPrefix(Gates.clearPrefix) }.values.reduce(into: counts[4]) {
            $0.packets += $1.packets
            $0.bytes += $1.bytes
        }
        libvirt = counts[5]
    }

    static let list = Command("nft", ["-j", "list", "counters", "table", "inet", Gates.table], timeLimit: .seconds(10))

    /// Every named counter of our table in what `nft -j list counters` printed.
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
