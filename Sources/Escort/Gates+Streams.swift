// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The rules for single connections to migration ports between the hosts' LAN addresses, which must begin as TLS does.
///
/// A connection is known by its peer's address, the port it comes from, and the migration port it goes to.
extension Gates {
    /// The first byte of a TLS connection: the content type `handshake` (RFC 8446, 5.1).
    ///
    /// QEMU's streams in the clear begin with `QEVM`, its parallel ones with 0x11223344 (migration/savevm.h, multifd.h).
    private static let tlsHandshake = "0x16"

    /// Connections whose first byte has not been seen yet.
    private var silentIn: String { "silent_in_\(lanKeyword)" }
    private var silentOut: String { "silent_out_\(lanKeyword)" }

    var streamSets: [String] {
        [silentIn, silentOut].map {
            "set \($0) { type \(plan.local.address.family.nftType) . inet_service . inet_service;"
                + " size 65536; flags dynamic, timeout; timeout 10m; }"
        }
    }

    /// For what came to a migration port of this host.
    var arrivalRules: [String] {
        let stream = "\(lanKeyword) saddr . tcp sport . tcp dport"
        let here = "\(lanKeyword) daddr \(lan)"
        return [
            "\(here) \(beginning) \(lanKeyword) saddr @\(Pinhole.lanSet(plan)) return",
            "\(beginning) counter name dropped_unplanned drop",
            "\(here) \(stream) @\(silentIn) \(lanKeyword) saddr != @\(Pinhole.clearSet(plan))"
                + " @ih,0,8 != \(Self.tlsHandshake) counter name dropped_clear drop",
            "\(here) \(stream) @\(silentIn) @ih,0,8 0x00-0xff delete @\(silentIn) { \(stream) }",
        ]
    }

    /// For what leaves this host.
    var departureRules: [String] {
        guard !plan.peers.isEmpty else { return admissionRules }
        let stream = "\(lanKeyword) daddr . tcp sport . tcp dport"
        let toPeers = "\(lanKeyword) daddr { \(peerAddresses) } tcp dport \(ports)"
        return admissionRules + [
            "\(toPeers) \(beginning) update @\(silentOut) { \(stream) }",
            "\(toPeers) \(beginning) \(stream) != @\(silentOut) counter name dropped_out drop",
        ]
            + plan.peers.map {
                "\(lanKeyword) daddr \($0.address) tcp dport \(ports) \(stream) @\(silentOut)"
                    + " \(lanKeyword) daddr != @\(Pinhole.outgoingClearSet(plan))"
                    + " @ih,0,8 != \(Self.tlsHandshake) counter name \(Self.clearCounter($0)) drop"
            } + ["\(toPeers) \(stream) @\(silentOut) @ih,0,8 0x00-0xff delete @\(silentOut) { \(stream) }"]
    }

    /// A connection from outside begins with this host's SYN-ACK: a SYN that somebody forges for a connection that is
    /// there already does not make it a new one.
    private var admissionRules: [String] {
        let stream = "\(lanKeyword) daddr . tcp dport . tcp sport"
        let consent = "\(lanKeyword) saddr \(lan) tcp sport \(ports) tcp flags & (syn | ack) == (syn | ack)"
        return [
            "\(consent) update @\(silentIn) { \(stream) }",
            "\(consent) \(stream) != @\(silentIn) counter name dropped_out drop",
        ]
    }
}
