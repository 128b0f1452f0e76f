// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet

/// The nftables rules that keep migrations inside their channels, as text.
///
/// They match only inner addresses and the migration and libvirt ports, so an error in them cannot cut off the LAN.
struct Gates: Sendable {
    static let table = "evenkeel"
    /// Marks our routes; the number is unassigned in iproute2's list.
    static let routeProtocol = "238"
    /// Larger than the metric of any route that should take precedence.
    static let routeMetric = "4000000000"
    /// Port on which libvirt listens without encryption and authentication.
    static let libvirtPort = 16509

    let plan: MeshPlan
    /// `nil` while unknown: then no packet passes.
    let implementation: ESPImplementation?
    /// Ports on which hypervisors accept migrations, both bounds included.
    let migrationPorts: ClosedRange<Int>
    var sshPort = 22

    /// Commands that replace all rules of our table atomically, and keep its counters and pinholes.
    var ruleset: String {
        """
        table inet \(Self.table) {
        \(lines(counters.map { "counter \($0) { }" }, indent: 2))
          set \(Pinhole.innerSet(plan)) { type \(plan.local.inner.family.nftType); flags timeout; }
          set \(Pinhole.lanSet(plan)) { type \(plan.local.address.family.nftType); flags timeout; }
          set \(Pinhole.clearSet(plan)) { type \(plan.local.address.family.nftType); flags timeout; }
          set \(Pinhole.outgoingClearSet(plan)) { type \(plan.local.address.family.nftType); flags timeout; }
        \(lines(streamSets, indent: 2))
        }
        flush table inet \(Self.table)
        table inet \(Self.table) {
          chain migration {
            \(keyword) daddr \(inner) \(beginning) \(keyword) saddr @\(Pinhole.innerSet(plan)) return
        \(lines(arrivalRules, indent: 4))
          }
          chain input {
            type filter hook input priority filter - 10; policy accept;
            iifname "lo" \(keyword) daddr \(inner) tcp dport \(ports) \(beginning) counter name dropped_unplanned drop
            iifname "lo" \(lanKeyword) daddr \(lan) tcp dport \(ports) \(beginning) counter name dropped_unplanned drop
            iifname "lo" return
            \(keyword) daddr \(inner) \(notFromTunnel)counter name dropped_in drop
            \(keyword) daddr \(inner) tcp dport \(Self.libvirtPort) return
            tcp dport \(Self.libvirtPort) counter name dropped_libvirt drop
            tcp dport \(ports) jump migration
          }
          chain forward {
            type filter hook forward priority filter - 10; policy accept;
        \(lines(forwardRules, indent: 4))
          }
          chain output {
            type filter hook output priority filter - 10; policy accept;
        \(lines(outputRules, indent: 4))
          }
        }

        """
    }

    var ports: String { "\(migrationPorts.lowerBound)-\(migrationPorts.upperBound)" }
    private var keyword: String { plan.local.inner.family.nftKeyword }
    private var inner: String { plan.local.inner.description }
    var lanKeyword: String { plan.local.address.family.nftKeyword }
    var lan: String { plan.local.address.description }
    private var peerInner: String { plan.peers.map(\.inner.description).joined(separator: ", ") }
    private var allInner: String { ([plan.local] + plan.peers).map(\.inner.description).joined(separator: ", ") }
    var peerAddresses: String { plan.peers.map(\.address.description).joined(separator: ", ") }
    /// Matches the first packet of a connection; later packets belong to an accepted connection or to none.
    var beginning: String { "tcp flags & (syn | ack) == syn" }

    private func lines(_ rules: [String], indent: Int) -> String {
        rules.map { String(repeating: " ", count: indent) + $0 }.joined(separator: "\n")
    }

    // MARK: tunnel matches

    /// Matches packets that did not arrive through the tunnel; all packets while the implementation is unknown.
    private var notFromTunnel: String {
        switch implementation {
        case .kernel: "meta ipsec missing "
        case .userSpace: "iifname != \"\(ESPImplementation.userSpaceDevice)\" "
        case nil: ""
        }
    }

    /// Matches packets that will not enter the tunnel; all packets while the implementation is unknown.
    private var notIntoTunnel: String {
        switch implementation {
        case .kernel: "rt ipsec missing "
        case .userSpace: "oifname != \"\(ESPImplementation.userSpaceDevice)\" "
        case nil: ""
        }
    }

    /// Matches packets that will enter the tunnel; `nil` while the implementation is unknown.
    private var intoTunnel: String? {
        switch implementation {
        case .kernel: "rt ipsec exists"
        case .userSpace: "oifname \"\(ESPImplementation.userSpaceDevice)\""
        case nil: nil
        }
    }

    // MARK: rules

    private var forwardRules: [String] {
        let tunnelled = ["daddr", "saddr"].map {
            "\(keyword) \($0) { \(allInner) } counter name dropped_forwarded drop"
        }
        guard !plan.peers.isEmpty else { return tunnelled }
        // This host may forward a guest's packets under its own address, but a peer's pinhole is not open for guests.
        return tunnelled + [
            "\(lanKeyword) daddr { \(peerAddresses) } tcp dport \(ports) \(beginning) counter name dropped_forwarded drop"
        ]
    }

    private var outputRules: [String] {
        // Traffic from the inner address goes to a present or former peer. If it does not enter the tunnel, it must not
        // leave.
        let sealed = [
            "oifname \"lo\" return", "\(keyword) saddr \(inner) \(notIntoTunnel)counter name dropped_out drop",
        ]
        guard !plan.peers.isEmpty else { return sealed + departureRules }
        return sealed + departureRules + plan.peers.flatMap(countingRules) + [
            "\(keyword) daddr { \(peerInner) } \(notIntoTunnel)counter name dropped_out drop"
        ]
    }

    private func countingRules(_ peer: MeshPlan.Member) -> [String] {
        [
            intoTunnel.map { "\(keyword) daddr \(peer.inner) \($0) counter name \(Self.tunnelCounter(peer))" },
            "\(lanKeyword) daddr \(peer.address) tcp dport \(ports) counter name \(Self.lanCounter(peer))",
            "\(lanKeyword) daddr \(peer.address) tcp dport \(sshPort) counter name \(Self.sshCounter(peer))",
        ].compactMap { $0 }
    }

    // MARK: counters

    private var counters: [String] {
        GateCounters.names
            + plan.peers.flatMap {
                [Self.tunnelCounter($0), Self.lanCounter($0), Self.sshCounter($0), Self.clearCounter($0)]
            }
    }

    /// Name of the counter of packets that enter the tunnel to a peer.
    static func tunnelCounter(_ peer: MeshPlan.Member) -> String { "to_" + name(peer) }
    /// Name of the counter of packets to a peer's migration ports outside the tunnel.
    static func lanCounter(_ peer: MeshPlan.Member) -> String { "lan_" + name(peer) }
    /// Name of the counter of dropped packets of migrations in the clear to a peer.
    static func clearCounter(_ peer: MeshPlan.Member) -> String { clearPrefix + name(peer) }
    static let clearPrefix = "clear_"
    /// Name of the counter of packets to a peer's ssh port.
    static func sshCounter(_ peer: MeshPlan.Member) -> String { "ssh_" + name(peer) }

    /// Replaces `-`, which nft does not allow in names, by `/`, which no host name contains.
    private static func name(_ peer: MeshPlan.Member) -> String {
        String(peer.name.rawValue.map { $0 == "-" ? "/" : $0 })
    }

    static let listTable = Command("nft", ["list", "table", "inet", table])
    static let deleteTable = Command("nft", ["delete", "table", "inet", table])
    static let loadRuleset = Command("nft", ["-f", "-"])
}
