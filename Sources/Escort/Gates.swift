// SPDX-License-Identifier: Apache-2.0
internal import Commands
internal import Fleet
internal import FoundationEssentials

/// The rules that keep the inner addresses inside the tunnels: pure text, and what their counters say.
///
/// They match inner addresses alone, so that no fault of theirs can cut off the LAN.
struct Gates: Sendable {
    static let table = "evenkeel"
    /// Marks the routes that are ours; unassigned in iproute2's list.
    static let routeProtocol = "238"
    /// Worse than any route that should win over it.
    static let routeMetric = "4000000000"

    let plan: MeshPlan
    /// `nil`: nobody knows yet who encrypts, so nothing passes at all.
    let implementation: ESPImplementation?

    /// Replaces all rules of our table at once and leaves its counters as they are.
    var ruleset: String {
        let counters =
            ["dropped_in", "dropped_out", "dropped_forwarded"] + plan.peers.map { Self.tunnelCounter($0) }
        return """
            table inet \(Self.table) {
            \(counters.map { "  counter \($0) { }" }.joined(separator: "\n"))
            }
            flush table inet \(Self.table)
            table inet \(Self.table) {
              chain input {
                type filter hook input priority filter - 10; policy accept;
                \(keyword) daddr \(inner) \(notThroughTunnelInwards) counter name dropped_in drop
              }
              chain forward {
                type filter hook forward priority filter - 10; policy accept;
                \(keyword) daddr { \(allInner) } counter name dropped_forwarded drop
                \(keyword) saddr { \(allInner) } counter name dropped_forwarded drop
              }
              chain output {
                type filter hook output priority filter - 10; policy accept;
            \(outputRules.map { "    " + $0 }.joined(separator: "\n"))
              }
            }

            """
    }

    private var keyword: String { plan.local.inner.nftKeyword }
    private var inner: String { plan.local.inner.description }
    private var peerInner: String { plan.peers.map(\.inner.description).joined(separator: ", ") }
    private var allInner: String { ([plan.local] + plan.peers).map(\.inner.description).joined(separator: ", ") }

    private var notThroughTunnelInwards: String {
        switch implementation {
        case .kernel: "iifname != \"lo\" meta ipsec missing"
        case .userSpace: "iifname != { \"lo\", \"\(ESPImplementation.userSpaceDevice)\" }"
        case nil: "iifname != \"lo\""
        }
    }

    private var outputRules: [String] {
        guard !plan.peers.isEmpty else { return [] }
        let (through, past): (String?, String) =
            switch implementation {
            case .kernel: ("rt ipsec exists", "rt ipsec missing ")
            case .userSpace:
                (
                    "oifname \"\(ESPImplementation.userSpaceDevice)\"",
                    "oifname != \"\(ESPImplementation.userSpaceDevice)\" "
                )
            case nil: (nil, "")
            }
        let counting = plan.peers.compactMap { peer in
            through.map { "\(keyword) daddr \(peer.inner) \($0) counter name \(Self.tunnelCounter(peer))" }
        }
        return counting + ["\(keyword) daddr { \(peerInner) } \(past)counter name dropped_out drop"]
    }

    /// Counts what goes into the tunnel to a peer.
    ///
    /// nft knows no `-` in names; `/` is in no host name.
    static func tunnelCounter(_ peer: MeshPlan.Member) -> String {
        "to_" + String(peer.name.rawValue.map { $0 == "-" ? "/" : $0 })
    }

    static let listCounters = Command(
        "nft",
        ["-j", "list", "counters", "table", "inet", table],
        timeLimit: .seconds(10)
    )
    static let deleteTable = Command("nft", ["delete", "table", "inet", table], timeLimit: .seconds(10))
    static let loadRuleset = Command("nft", ["-f", "-"], timeLimit: .seconds(10))

    /// Every named counter of our table in what `nft -j list counters` printed.
    static func counters(json: String) throws -> [String: GateCounters.Count] {
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
        var counters: [String: GateCounters.Count] = [:]
        for counter in reply.nftables.compactMap(\.counter) {
            counters[counter.name] = .init(packets: counter.packets, bytes: counter.bytes)
        }
        return counters
    }
}

/// What the gates dropped so far.
public struct GateCounters: Sendable, Equatable, Codable {
    public struct Count: Sendable, Equatable, Codable {
        public var packets: UInt64
        public var bytes: UInt64
    }
    /// Addressed to this host's inner address, but not through the tunnel.
    public var inbound: Count
    /// From this host to a peer's inner address, but not through the tunnel.
    public var outbound: Count
    /// Inner addresses that others tried to pass through this host.
    public var forwarded: Count

    /// All of them.
    var packets: UInt64 { inbound.packets + outbound.packets + forwarded.packets }

    /// `nil` when one is missing.
    init?(named counters: [String: Count]) {
        guard let inbound = counters["dropped_in"], let outbound = counters["dropped_out"],
            let forwarded = counters["dropped_forwarded"]
        else { return nil }
        self.inbound = inbound
        self.outbound = outbound
        self.forwarded = forwarded
    }
}
