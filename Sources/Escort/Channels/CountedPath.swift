// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The passage of a move over the LAN that QEMU (TLS) or ssh encrypts.
///
/// What goes to the peer's ports of the channel is counted at the gate. A stream that begins in the clear is dropped
/// there: so what the gate counted and let through to the migration ports was TLS.
actor CountedPath: ProtectedPath {
    nonisolated let route: MigrationRoute
    private let channel: Channel
    private let proof: Proof
    private let read: @Sendable () async throws -> LANReading
    private let opening: LANReading
    /// The last one; `nil` when it failed.
    private var latest: LANReading?
    private var seen: LANReading
    /// A counter fell: the gates were taken down and put back, and what passed meanwhile was not counted.
    private var wasReset = false
    private var use: TunnelUse?

    /// Makes the proof of what a handshake with the peer showed just before, and of the gate's counters.
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

    /// A look that failed says nothing; only the last must succeed, or the verdict stays open.
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

    /// A counter that fell was reset.
    private static func rise(from before: UInt64, to now: UInt64) -> UInt64 { now - min(before, now) }
}

/// One look at the gate's counters of what goes to a peer outside the tunnel.
struct LANReading: Sendable, Equatable {
    /// To the peer's ports of the channel.
    var sent: TrafficCounters
    /// Packets of a migration in the clear that were on their way to the peer and dropped.
    var clear: UInt64
    /// Packets of whatever origin dropped at the gates.
    var dropped: UInt64

    func isBehind(_ other: Self) -> Bool {
        sent.bytes < other.sent.bytes || clear < other.clear || dropped < other.dropped
    }
}
