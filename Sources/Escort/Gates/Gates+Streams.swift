// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Rules for single connections to migration ports between the hosts' LAN addresses; each must begin as TLS does.
///
/// A connection is identified by the peer's address, the source port and the migration port.
extension Gates {
    /// The first byte of a TLS connection: the content type `handshake` (RFC 8446, 5.1).
    ///
    /// QEMU's streams in the clear begin with `QEVM`, parallel ones with 0x11223344 (migration/savevm.h, multifd.h).
    private static let tlsHandshake = "0x16"

    /// Set of inbound connections whose first byte has not been seen yet.
    private var silentIn: String { "silent_in_\(lanKeyword)" }
    private var silentOut: String { "silent_out_\(lanKeyword)" }

    var streamSets: [String] {
        [silentIn, silentOut].map {
            "set \($0) { type \(plan.local.address.family.nftType) . inet_service . inet_service;"
                + " size 65536; flags dynamic, timeout; timeout 10m; }"
        }
    }

    /// Rules for packets that arrive at a migration port of this host.
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

    /// Rules for packets that leave this host.
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

    /// Rules that register a connection from outside at this host's SYN-ACK.
    ///
    /// A forged SYN for an existing connection must not make that connection count as new.
    private var admissionRules: [String] {
        let stream = "\(lanKeyword) daddr . tcp dport . tcp sport"
        let consent = "\(lanKeyword) saddr \(lan) tcp sport \(ports) tcp flags & (syn | ack) == (syn | ack)"
        return [
            "\(consent) update @\(silentIn) { \(stream) }",
            "\(consent) \(stream) != @\(silentIn) counter name dropped_out drop",
        ]
    }
}
