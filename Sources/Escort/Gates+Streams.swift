// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The rules for single connections to migration ports between the hosts' LAN addresses.
///
/// A connection is known by its peer's address, the port it comes from, and the migration port it goes to.
extension Gates {
    /// How QEMU's streams begin in the clear: `QEVM`, and the magic of its parallel connections.
    ///
    /// QEMU: `QEMU_VM_FILE_MAGIC` in migration/savevm.h, `MULTIFD_MAGIC` in migration/multifd.h.
    static let clearBeginnings = "{ 0x5145564d, 0x11223344 }"

    /// Connections that went through IPsec: whatever becomes of the mesh and of its mode, they do not go on beside it.
    static func throughIPsec(_ plan: MeshPlan) -> String { "through_ipsec_\(plan.local.address.nftKeyword)" }

    /// Connections that have not said anything yet; what they say first is in the clear or is not.
    private var silentIn: String { "silent_in_\(lanKeyword)" }
    private var silentOut: String { "silent_out_\(lanKeyword)" }
    private var through: String { Self.throughIPsec(plan) }

    /// A connection's packets renew its element, which so outlives its pauses.
    var streamSets: [String] {
        [through, silentIn, silentOut].map {
            "set \($0) { type \(plan.local.address.nftType) . inet_service . inet_service;"
                + " size 65536; flags dynamic, timeout; timeout 1d; }"
        }
    }

    /// For what came to a migration port of this host.
    var arrivalRules: [String] {
        let stream = "\(lanKeyword) saddr . tcp sport . tcp dport"
        let here = "\(lanKeyword) daddr \(lan)"
        let planned = "\(beginning) \(lanKeyword) saddr @\(Pinhole.lanSet(plan))"
        let past = implementation == .kernel ? "meta ipsec missing " : ""
        let unplanned = "\(beginning) counter name dropped_unplanned drop"
        let left = "\(here) \(past)\(stream) @\(through) counter name dropped_in drop"
        guard mode == .transport else {
            return [
                "\(here) \(planned) delete @\(through) { \(stream) } update @\(silentIn) { \(stream) } return",
                unplanned,
                left,
                "\(here) \(stream) @\(silentIn) \(lanKeyword) saddr != @\(Pinhole.clearSet(plan))"
                    + " @ih,0,32 \(Self.clearBeginnings) counter name dropped_clear drop",
                "\(here) \(stream) @\(silentIn) @ih,0,32 != \(Self.clearBeginnings) delete @\(silentIn) { \(stream) }",
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
        return rules + [left, "\(here) meta ipsec exists update @\(through) { \(stream) }"]
    }

    /// For what leaves this host.
    var departureRules: [String] {
        let stream = "\(lanKeyword) daddr . tcp sport . tcp dport"
        let past = implementation == .kernel ? "rt ipsec missing " : ""
        let left = "tcp dport \(ports) \(past)\(stream) @\(through) counter name dropped_out drop"
        let toPeers = "\(lanKeyword) daddr { \(peerAddresses) } tcp dport \(ports)"
        guard mode == .transport else {
            guard !plan.peers.isEmpty else { return [left] }
            return [
                "\(toPeers) \(beginning) delete @\(through) { \(stream) } update @\(silentOut) { \(stream) }",
                left,
            ]
                + plan.peers.map {
                    "\(lanKeyword) daddr \($0.address) tcp dport \(ports) \(stream) @\(silentOut)"
                        + " \(lanKeyword) daddr != @\(Pinhole.outgoingClearSet(plan))"
                        + " @ih,0,32 \(Self.clearBeginnings) counter name \(Self.clearCounter($0)) drop"
                } + [
                    "\(toPeers) \(stream) @\(silentOut) @ih,0,32 != \(Self.clearBeginnings) delete @\(silentOut) { \(stream) }"
                ]
        }
        let recording = "tcp dport \(ports) rt ipsec exists update @\(through) { \(stream) }"
        guard !plan.peers.isEmpty else { return [recording, left] }
        return [recording, left]
            + [fromClients, "\(beginning) tcp sport != \(TransportPorts.knock)"].map {
                "\(toPeers) \($0) rt ipsec missing counter name dropped_out drop"
            }
    }

    /// The ports that migrations come from, which keep ssh out of it: that may have one of the migration ports at its
    /// other end.
    private var fromClients: String {
        "tcp sport \(TransportPorts.clients.lowerBound)-\(TransportPorts.clients.upperBound) tcp sport != \(sshPort)"
    }
}
