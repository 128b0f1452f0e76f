// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The protected path of a move over the LAN that QEMU (TLS) or ssh encrypts.
///
/// The gate counts the traffic to the peer's ports of the channel. It drops a stream that begins in the clear. All
/// traffic that it counted and let through to the migration ports was therefore TLS.
actor CountedPath: ProtectedPath {
    nonisolated let route: MigrationRoute
    private let channel: Channel
    private let proof: Proof
    private let read: @Sendable () async throws -> LANReading
    private let opening: LANReading
    /// The last reading; `nil` if it failed.
    private var latest: LANReading?
    private var seen: LANReading
    /// Whether a counter fell: the gates were removed and applied again, and traffic in between was not counted.
    private var wasReset = false
    private var use: TunnelUse?

    /// Makes the proof from the gate's counters and an earlier handshake with the peer.
    typealias Proof = @Sendable (Evidence.CounterSpan?) -> Evidence.Proof

    init(
        _ channel: Channel,
        route: MigrationRoute,
        proof: @escaping Proof,
        use: TunnelUse,
        read: @escaping @Sendable () async throws -> LANReading
    ) async throws {
        self.channel = channel
        self.route = route
        self.proof = proof
        self.read = read
        self.use = use
        opening = try await read()
        seen = opening
    }

    /// Reads the counters; only the last reading must succeed, otherwise the verdict is `unknown`.
    func observe() async -> PathObservation {
        latest = try? await read()
        if let latest { wasReset = wasReset || latest.isBehind(seen) }
        seen = latest ?? seen
        return PathObservation(bytes: sent, loss: clearPackets > 0 ? .inTheClear(packets: clearPackets) : nil)
    }

    func end(hypervisorBytes: UInt64?) async -> Evidence {
        let observation = await observe()
        use = nil
        return Evidence(
            channel: channel,
            proof: proof(latest.map { Evidence.CounterSpan(before: opening.sent, after: $0.sent) }),
            bytesOnPath: latest == nil ? nil : sent,
            bytesByHypervisor: hypervisorBytes,
            droppedAtGates: latest.map { Self.rise(from: opening.dropped, to: $0.dropped) },
            verdict: observation.isUp
                ? MoveMeter.verdict(
                    bytesOnPath: sent,
                    hypervisor: hypervisorBytes,
                    isComplete: latest != nil && !wasReset
                )
                : .leak
        )
    }

    private var sent: UInt64 { latest.map { Self.rise(from: opening.sent.bytes, to: $0.sent.bytes) } ?? 0 }
    private var clearPackets: UInt64 { latest.map { Self.rise(from: opening.clear, to: $0.clear) } ?? 0 }

    /// Returns the increase of a counter; 0 if it fell, because it was reset.
    private static func rise(from before: UInt64, to now: UInt64) -> UInt64 { now - min(before, now) }
}

/// One reading of the gate's counters of the traffic to a peer outside the tunnel.
struct LANReading: Sendable, Equatable {
    /// Traffic to the peer's ports of the channel.
    var sent: TrafficCounters
    /// Dropped packets of migrations in the clear to the peer.
    var clear: UInt64
    /// Packets of any origin that the gates dropped.
    var dropped: UInt64

    func isBehind(_ other: Self) -> Bool {
        sent.bytes < other.sent.bytes || clear < other.clear || dropped < other.dropped
    }
}
