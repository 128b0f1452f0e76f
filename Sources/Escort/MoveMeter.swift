// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Gathers the evidence of one move: begun before the first byte, observed about once a second, ended after the last.
///
/// Moves to the same peer at the same time share its tunnel: each sees the bytes of all.
public actor MoveMeter {
    /// What one look showed.
    public struct Observation: Sendable, Equatable {
        /// Bytes that went through the tunnel since the move began.
        public var bytes: UInt64
        /// Why the path no longer holds, so that the migration is to be cancelled; `nil` while it holds.
        public var loss: String?
        public var isUp: Bool { loss == nil }
    }

    /// An answer through the tunnel may take this long, while something is sent, before the path counts as lost.
    ///
    /// TCP acknowledges within milliseconds; a host whose CPUs are all taken may need a second or two.
    static let silenceLimit = 8

    private let peer: HostName
    private let implementation: ESPImplementation
    private let read: @Sendable () async throws -> TunnelReading
    private let before: TrafficCounters?
    private var account: TrafficAccount
    private var association: SecurityAssociation?
    private var missed = false

    init(
        peer: HostName,
        implementation: ESPImplementation,
        read: @escaping @Sendable () async throws -> TunnelReading
    ) async throws {
        self.peer = peer
        self.implementation = implementation
        self.read = read
        let opening = try await read()
        account = TrafficAccount(opening: opening)
        guard let live = opening.live else {
            throw EscortError.peerDoesNotAnswer(peer, reason: "there is no SA with it")
        }
        before = live.child.outbound
        association = SecurityAssociation(live.association, live.child, implementation)
    }

    /// Reads the counters and tells whether the path still holds.
    ///
    /// charon that does not answer counts as a loss: nobody could prove the rest of the move.
    public func observe() async -> Observation {
        do {
            let reading = try await read()
            account.record(reading)
            guard let live = reading.live else { return observation(loss: "there is no SA with \(peer) any more") }
            association = SecurityAssociation(live.association, live.child, implementation)
            if let weakness = Strength.weakness(of: live.association, live.child) {
                return observation(loss: "the tunnel to \(peer) became weak: \(weakness)")
            }
            let silence = live.child.secondsSinceInbound ?? live.child.age ?? 0
            if account.awaitsAnswer, silence >= Self.silenceLimit {
                return observation(loss: "nothing came back from \(peer) through the tunnel for \(silence) s")
            }
            return observation(loss: nil)
        } catch {
            missed = true
            return observation(loss: "the tunnel could not be observed: \(error)")
        }
    }

    /// Reads the counters a last time and judges.
    ///
    /// `hypervisorBytes` is what the hypervisor says it sent, `nil` when it did not say. Tunnel bytes are those of the
    /// packets before encryption, headers and retransmissions included, so they are never fewer than what was sent.
    public func end(hypervisorBytes: UInt64?) async -> Evidence {
        _ = await observe()
        let total = account.total
        return Evidence(
            channel: .ipsec,
            association: association,
            before: before,
            after: before.map { .init(bytes: $0.bytes + total.bytes, packets: $0.packets + total.packets) },
            bytesThroughTunnel: total.bytes,
            bytesByHypervisor: hypervisorBytes,
            verdict: Self.verdict(
                tunnel: total.bytes,
                hypervisor: hypervisorBytes,
                isComplete: before != nil && !missed && !account.isIncomplete
            )
        )
    }

    private func observation(loss: String?) -> Observation { Observation(bytes: account.total.bytes, loss: loss) }

    /// What was seen to pass the tunnel covers or does not; a leak is claimed only when every figure is there.
    static func verdict(tunnel: UInt64, hypervisor: UInt64?, isComplete: Bool) -> Evidence.Verdict {
        guard let hypervisor else { return .unknown }
        if tunnel >= hypervisor { return .covered }
        return isComplete ? .leak : .unknown
    }
}
