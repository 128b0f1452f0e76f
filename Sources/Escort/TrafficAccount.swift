// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Adds up what passed the tunnel to one peer, over every SA that served it.
///
/// charon reads the counters of an SA only while it is in use: what the old SA carried between the last reading and its
/// replacement is lost in charon's list. The gate's counter of what went into the tunnel does not depend on SAs, so in
/// an interval in which an SA was replaced the larger of both counts.
struct TrafficAccount: Sendable, Equatable {
    /// Bytes and packets towards the peer since the account was opened.
    private(set) var total = TrafficCounters(bytes: 0, packets: 0)
    /// An SA was replaced or lost and there was no gate counter to fill the gap.
    private(set) var isIncomplete = false
    /// Packets went out since the last one came in.
    private(set) var awaitsAnswer = false

    private var outbound: [String: TrafficCounters] = [:]
    private var live: Set<String> = []
    private var gate: TrafficCounters?
    private var inbound: [String: UInt64] = [:]

    init(opening reading: TunnelReading) {
        record(reading)
        total = TrafficCounters(bytes: 0, packets: 0)
        isIncomplete = false
        awaitsAnswer = false
    }

    mutating func record(_ reading: TunnelReading) {
        let children = reading.associations.flatMap(\.children)
        var passed = TrafficCounters(bytes: 0, packets: 0)
        for child in children {
            guard let counters = child.outbound else {
                isIncomplete = true
                continue
            }
            let before = outbound[child.outboundSPI] ?? TrafficCounters(bytes: 0, packets: 0)
            passed.bytes += counters.bytes - min(before.bytes, counters.bytes)
            passed.packets += counters.packets - min(before.packets, counters.packets)
            outbound[child.outboundSPI] = counters
        }
        let nowLive = Set(children.filter { $0.state != "DELETED" }.map(\.outboundSPI))
        if !live.isSubset(of: nowLive) {
            if let gate, let now = reading.gate, now.bytes >= gate.bytes, now.packets >= gate.packets {
                passed.bytes = max(passed.bytes, now.bytes - gate.bytes)
                passed.packets = max(passed.packets, now.packets - gate.packets)
            } else {
                isIncomplete = true
            }
        }
        live = nowLive
        gate = reading.gate
        total.bytes += passed.bytes
        total.packets += passed.packets
        recordInbound(children, sent: passed.packets > 0)
    }

    private mutating func recordInbound(_ children: [IKEAssociation.Child], sent: Bool) {
        var arrived = false
        for child in children {
            guard let packets = child.inbound?.packets else { continue }
            if packets > inbound[child.inboundSPI] ?? 0 { arrived = true }
            inbound[child.inboundSPI] = packets
        }
        awaitsAnswer = arrived ? false : awaitsAnswer || sent
    }
}

/// One look at the tunnel to one peer.
struct TunnelReading: Sendable, Equatable {
    var associations: [IKEAssociation]
    /// What the gate saw go into the tunnel; `nil` when it could not be read.
    var gate: TrafficCounters?

    /// The association that carries traffic now, with its child.
    var live: (association: IKEAssociation, child: IKEAssociation.Child)? { live { _ in true } }

    /// The same among those that satisfy the condition.
    ///
    /// Should there be several, charon sends through the one installed last.
    func live(
        where condition: (IKEAssociation) -> Bool
    ) -> (association: IKEAssociation, child: IKEAssociation.Child)? {
        associations.filter(condition)
            .compactMap { association in association.liveChild.map { (association, $0) } }
            .min { ($0.1.age ?? .max) < ($1.1.age ?? .max) }
    }
}
