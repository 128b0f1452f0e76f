// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Collects the evidence of one move: created before the first byte, observed about once a second, ended after the
/// last.
///
/// The tunnel belongs to this move alone until `end` returns or the meter is released. Only one call at a time is
/// allowed.
public actor MoveMeter: ProtectedPath {
    /// Seconds without an inbound packet, while packets go out, after which the path counts as lost.
    ///
    /// TCP acknowledges within milliseconds; a host whose CPUs are all busy may need a second or two.
    static let silenceLimit = 8

    /// Makes the proof from the SA and its counters.
    typealias Proof = @Sendable (SecurityAssociation, Evidence.CounterSpan?) -> Evidence.Proof

    /// Proof for hosts that authenticate each other with pre-shared keys.
    static let proofByKey: Proof = { .tunnel(association: $0, counters: $1, certificate: nil) }

    public nonisolated let route: MigrationRoute
    private let peer: HostName
    private let channel: Channel
    private let proof: Proof
    private let minimum: MinimumSuite
    private let implementation: ESPImplementation
    private let read: @Sendable () async throws -> TunnelReading
    private let opening: TunnelReading
    /// The last reading; `nil` if it failed.
    private var latest: TunnelReading?
    private var account: TrafficAccount
    /// The newest SA observed.
    private var association: SecurityAssociation
    private var use: TunnelUse?

    init(
        peer: HostName,
        channel: Channel = .ipsec,
        route: MigrationRoute,
        proof: @escaping Proof = proofByKey,
        minimum: MinimumSuite = .aes256,
        implementation: ESPImplementation,
        use: TunnelUse,
        read: @escaping @Sendable () async throws -> TunnelReading
    ) async throws {
        self.peer = peer
        self.channel = channel
        self.proof = proof
        self.route = route
        self.minimum = minimum
        self.implementation = implementation
        self.read = read
        self.use = use
        opening = try await read()
        guard let live = opening.live else {
            throw EscortError.peerDoesNotAnswer(peer, reason: "there is no SA with it")
        }
        guard live.child.outbound != nil else {
            throw EscortError.refused(step: "reading the SA's counters", reason: "charon reported none for \(peer)")
        }
        account = TrafficAccount(opening: opening)
        association = SecurityAssociation(live.association, live.child, implementation)
    }

    /// Reads the counters and returns whether the path still holds.
    ///
    /// If charon does not answer, the path counts as lost, because the rest of the move could not be proven. A
    /// cancelled observation reports no loss. A missing answer or a cancelled observation does not spoil the evidence:
    /// the counters continue, and only the last observation must succeed.
    public func observe() async -> PathObservation {
        latest = nil
        let reading: TunnelReading
        do {
            reading = try await read()
        } catch is CancellationError {
            return observation(loss: nil)
        } catch {
            return observation(loss: .unobserved(reason: "\(error)"))
        }
        latest = reading
        account.record(reading)
        guard let live = reading.live else { return observation(loss: .noAssociation(peer)) }
        association = SecurityAssociation(live.association, live.child, implementation)
        if let weakness = minimum.weakness(of: live.association, live.child) {
            return observation(loss: .weak(peer, weakness))
        }
        let silence = live.child.secondsSinceInbound ?? live.child.age ?? 0
        if account.awaitsAnswer, silence >= Self.silenceLimit {
            return observation(loss: .silent(peer, seconds: silence))
        }
        return observation(loss: nil)
    }

    /// Reads the counters a last time, releases the tunnel, and returns the evidence with its verdict.
    ///
    /// `hypervisorBytes` is the number of bytes that the hypervisor reports as sent, `nil` if it reports none. Tunnel
    /// bytes are counted before encryption, headers and retransmissions included, and are therefore never fewer than
    /// the bytes sent.
    public func end(hypervisorBytes: UInt64?) async -> Evidence {
        _ = await observe()
        use = nil
        let total = account.total.bytes
        return Evidence(
            channel: channel,
            proof: proof(association, counters),
            bytesOnPath: total,
            bytesByHypervisor: hypervisorBytes,
            droppedAtGates: droppedAtGates,
            verdict: Self.verdict(
                bytesOnPath: total,
                hypervisor: hypervisorBytes,
                isComplete: latest != nil && !account.isIncomplete
            )
        )
    }

    /// The outbound counters of `association`; those of an SA created during the move began at zero.
    private var counters: Evidence.CounterSpan? {
        let first = opening.child(outboundSPI: association.outboundSPI)
        guard let before = first.map(\.outbound) ?? TrafficCounters(bytes: 0, packets: 0),
            let after = latest?.child(outboundSPI: association.outboundSPI)?.outbound
        else { return nil }
        return Evidence.CounterSpan(before: before, after: after)
    }

    private var droppedAtGates: UInt64? {
        guard let before = opening.dropped, let after = latest?.dropped, after >= before else { return nil }
        return after - before
    }

    private func observation(loss: PathLoss?) -> PathObservation {
        PathObservation(bytes: account.total.bytes, loss: loss)
    }

    /// Compares the bytes on the path with the bytes sent; returns `leak` only if every figure is known.
    static func verdict(bytesOnPath: UInt64, hypervisor: UInt64?, isComplete: Bool) -> Evidence.Verdict {
        guard let hypervisor else { return .unknown }
        if bytesOnPath >= hypervisor { return .covered }
        return isComplete ? .leak : .unknown
    }
}

/// A claim on the tunnel to a peer for one move; it lasts as long as the object is referenced.
final class TunnelUse: Sendable {}
