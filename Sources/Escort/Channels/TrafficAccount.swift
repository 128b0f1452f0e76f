// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Sums the traffic through the tunnel to one peer, over all its SAs.
///
/// charon reads the counters of an SA only while it is in use. The traffic of an old SA between its last reading and
/// its replacement is therefore missing in charon's list. The gate's counter of the tunnel does not depend on SAs. In
/// an interval in which an SA was replaced, the larger of both counts.
struct TrafficAccount: Sendable {
    /// Bytes and packets towards the peer since the account was opened.
    private(set) var total = TrafficCounters(bytes: 0, packets: 0)
    /// Whether a figure is missing: charon reported none for an SA, or the gate did not fill the gap of a replaced SA.
    var isIncomplete: Bool { lacksFigures || hasGap || isLost }
    /// Whether packets went out since the last one came in.
    private(set) var awaitsAnswer = false

    private var outbound: [String: TrafficCounters] = [:]
    private var inbound: [String: UInt64] = [:]
    private var live: Set<String> = []
    /// The last reading of the gate, and the total at that time.
    private var mark: (gate: TrafficCounters, total: TrafficCounters)?
    /// Whether charon's last list has a child without counters.
    private var lacksFigures = false
    /// Whether an SA was replaced since `mark`.
    private var hasGap = false
    /// Whether there was a gap that no later reading can fill.
    private var isLost = false

    init(opening reading: TunnelReading) {
        record(reading)
        total = TrafficCounters(bytes: 0, packets: 0)
        mark = reading.gate.map { ($0, total) }
        awaitsAnswer = false
        for child in reading.associations.flatMap(\.children) where child.outbound == nil {
            // Traffic before the move must not count: the child's first figure becomes its starting point.
            outbound[child.outboundSPI] = TrafficCounters(bytes: .max, packets: .max)
            isLost = true
        }
    }

    mutating func record(_ reading: TunnelReading) {
        let children = reading.associations.flatMap(\.children)
        let before = total
        lacksFigures = children.contains { $0.outbound == nil }
        for child in children {
            guard let counters = child.outbound else { continue }
            let seen = outbound[child.outboundSPI] ?? TrafficCounters(bytes: 0, packets: 0)
            total.bytes += counters.bytes - min(seen.bytes, counters.bytes)
            total.packets += counters.packets - min(seen.packets, counters.packets)
            outbound[child.outboundSPI] = counters
        }
        let nowLive = Set(children.filter { $0.state != "DELETED" }.map(\.outboundSPI))
        if !live.isSubset(of: nowLive) { hasGap = true }
        live = nowLive
        if let gate = reading.gate { recordGate(gate) }
        recordInbound(children, sent: total.packets > before.packets)
    }

    private mutating func recordGate(_ gate: TrafficCounters) {
        if hasGap {
            if let mark, gate.bytes >= mark.gate.bytes, gate.packets >= mark.gate.packets {
                total.bytes = max(total.bytes, mark.total.bytes + gate.bytes - mark.gate.bytes)
                total.packets = max(total.packets, mark.total.packets + gate.packets - mark.gate.packets)
            } else {
                isLost = true
            }
            hasGap = false
        }
        mark = (gate, total)
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
