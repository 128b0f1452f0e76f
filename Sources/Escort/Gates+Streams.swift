// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The rules for single connections to migration ports between the hosts' LAN addresses.
///
/// A connection is known by its peer's address, the port it comes from, and the migration port it goes to.
extension Gates {
    /// The first byte of a TLS connection: the content type `handshake` (RFC 8446, 5.1).
    ///
    /// QEMU's streams in the clear begin with `QEVM`, its parallel ones with 0x11223344 (migration/savevm.h, multifd.h).
    private static let tlsHandshake = "0x16"

    /// Connections from and to this host that went through IPsec: whatever becomes of the mesh and of its mode, they do
    /// not go on beside it.
    static func throughIn(_ family: IPAddress.Family) -> String { "through_in_\(family.nftKeyword)" }
    static func throughOut(_ family: IPAddress.Family) -> String { "through_out_\(family.nftKeyword)" }

    /// Connections that have not said anything yet; what they say first is TLS or is not.
    private var silentIn: String { "silent_in_\(lanKeyword)" }
    private var silentOut: String { "silent_out_\(lanKeyword)" }

    /// Of both families, as the inventory may come to have addresses of the other.
    var streamSets: [String] {
        func set(_ name: String, _ family: IPAddress.Family, _ timeout: String) -> String {
            "set \(name) { type \(family.nftType) . inet_service . inet_service;"
                + " size 65536; flags dynamic, timeout; timeout \(timeout); }"
        }
        let through = [IPAddress.Family.v4, .v6].flatMap { family in
            // Their packets renew them.
            [set(Self.throughIn(family), family, "1d"), set(Self.throughOut(family), family, "1d")]
        }
        return through + [silentIn, silentOut].map { set($0, plan.local.address.family, "10m") }
    }

    /// For what comes beside IPsec and belongs to a connection that came through it.
    var arrivalsOfIPsec: [String] {
        [IPAddress.Family.v4, .v6].map {
            "\(pastInwards)\($0.nftKeyword) saddr . tcp sport . tcp dport @\(Self.throughIn($0)) tcp flags & (syn | ack) != syn"
                + " counter name dropped_in drop"
        }
    }

    /// For what came to a migration port of this host.
    var arrivalRules: [String] {
        let stream = "\(lanKeyword) saddr . tcp sport . tcp dport"
        let here = "\(lanKeyword) daddr \(lan)"
        let planned = "\(beginning) \(lanKeyword) saddr @\(Pinhole.lanSet(plan))"
        let unplanned = "\(beginning) counter name dropped_unplanned drop"
        guard mode == .transport else {
            return [
                "\(here) \(planned) return",
                unplanned,
                "\(here) \(stream) @\(silentIn) \(lanKeyword) saddr != @\(Pinhole.clearSet(plan))"
                    + " @ih,0,8 != \(Self.tlsHandshake) counter name dropped_clear drop",
                "\(here) \(stream) @\(silentIn) @ih,0,8 0x00-0xff delete @\(silentIn) { \(stream) }",
            ]
        }
        // That it was the SA of the very peer that is the packet's source, the kernel's policies see to.
        var rules = ["\(here) meta ipsec exists \(planned) return", unplanned]
        if !plan.peers.isEmpty {
            rules.append(
                "\(here) \(lanKeyword) saddr { \(peerAddresses) } \(fromClients) meta ipsec missing"
                    + " counter name dropped_in drop"
            )
        }
        let through = Self.throughIn(plan.local.address.family)
        return rules + ["\(here) meta ipsec exists update @\(through) { \(stream) }"]
    }

    /// A connection from outside begins with this host's consent, its SYN and ACK: a request that somebody forges for one
    /// that is there already makes it no new one.
    private var admissionRules: [String] {
        guard mode == .tunnel else { return [] }
        let stream = "\(lanKeyword) daddr . tcp dport . tcp sport"
        let consent = "\(lanKeyword) saddr \(lan) tcp sport \(ports) tcp flags & (syn | ack) == (syn | ack)"
        let through = Self.throughIn(plan.local.address.family)
        return [
            "\(consent) delete @\(through) { \(stream) } update @\(silentIn) { \(stream) }",
            "\(consent) \(stream) != @\(silentIn) counter name dropped_out drop",
        ]
    }

    /// For what leaves this host.
    var departureRules: [String] {
        let stream = "\(lanKeyword) daddr . tcp sport . tcp dport"
        let through = Self.throughOut(plan.local.address.family)
        let toPeers = "\(lanKeyword) daddr { \(peerAddresses) } tcp dport \(ports)"
        // Of whatever port and family, as both may have been other ones when the connection began.
        let left = [IPAddress.Family.v4, .v6].map {
            "\(pastOutwards)\($0.nftKeyword) daddr . tcp sport . tcp dport @\(Self.throughOut($0))"
                + " counter name dropped_out drop"
        }
        guard mode == .transport else {
            guard !plan.peers.isEmpty else { return admissionRules + left }
            return admissionRules + [
                "\(toPeers) \(beginning) delete @\(through) { \(stream) } update @\(silentOut) { \(stream) }",
                "\(toPeers) \(beginning) \(stream) != @\(silentOut) counter name dropped_out drop",
            ] + left
                + plan.peers.map {
                    "\(lanKeyword) daddr \($0.address) tcp dport \(ports) \(stream) @\(silentOut)"
                        + " \(lanKeyword) daddr != @\(Pinhole.outgoingClearSet(plan))"
                        + " @ih,0,8 != \(Self.tlsHandshake) counter name \(Self.clearCounter($0)) drop"
                } + ["\(toPeers) \(stream) @\(silentOut) @ih,0,8 0x00-0xff delete @\(silentOut) { \(stream) }"]
        }
        // To whomever: should the rules have been away while a peer left, its connections are held to IPsec all the same.
        let recording = [
            "tcp dport \(ports) rt ipsec exists update @\(through) { \(stream) }",
            "tcp dport \(ports) rt ipsec exists \(stream) != @\(through) counter name dropped_out drop",
        ]
        guard !plan.peers.isEmpty else { return recording + left }
        return recording + left
            + [fromClients, "\(beginning) tcp sport != \(TransportPorts.knock)"].map {
                "\(toPeers) \($0) rt ipsec missing counter name dropped_out drop"
            }
    }

    /// Where nobody is known to encrypt in the kernel, nothing has come or goes through IPsec between LAN addresses.
    private var pastInwards: String { implementation == .kernel ? "meta ipsec missing " : "" }
    private var pastOutwards: String { implementation == .kernel ? "rt ipsec missing " : "" }

    /// The ports that migrations come from, which keep ssh out of it: that may have one of the migration ports at its
    /// other end.
    private var fromClients: String {
        "tcp sport \(TransportPorts.clients.lowerBound)-\(TransportPorts.clients.upperBound) tcp sport != \(sshPort)"
    }
}
