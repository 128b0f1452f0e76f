// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension Mesh {
    /// Time without an answer after which a port counts as shut; on a LAN an answer takes 1 to 2 ms.
    static let probePatience: Duration = .milliseconds(120)

    /// Probes the peer's first and last migration port from this host's LAN address; both must be shut.
    ///
    /// Any answer, even a refusal, shows that no gate protects the port. Silence could also come from a dead network,
    /// but the channel is proven over the same LAN just before the move.
    public func probeGates(of peer: HostName, at instant: Instant) async throws -> [GateProbe] {
        let member = try self.peer(peer)
        async let first = probe(member.address, migrationPorts.lowerBound, at: instant)
        async let last = probe(member.address, migrationPorts.upperBound, at: instant)
        return await [first, last]
    }

    private nonisolated func probe(_ address: IPAddress, _ port: Int, at instant: Instant) async -> GateProbe {
        let begin = ContinuousClock.now
        let outcome = await runner.probe(address.description, port, Self.probePatience)
        let seconds = (ContinuousClock.now - begin).inSeconds
        return GateProbe(address: address.description, port: port, at: instant, outcome: outcome, seconds: seconds)
    }
}
