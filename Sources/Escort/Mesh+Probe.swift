// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension Mesh {
    /// How long a port may take to answer before it counts as shut; on a LAN an answer takes a millisecond or two.
    static let probePatience: Duration = .milliseconds(120)

    /// Knocks, from this host's LAN address, at the peer's first and last migration port: both must be shut.
    ///
    /// In transport mode from a port that no IPsec policy covers, so that here too it is what an outsider would see. An
    /// answer, be it a refusal, shows that nothing stands before the port. That silence is the gate's and not a dead
    /// network's, the proof of the channel shows, which is made over the same LAN just before the move.
    public func probeGates(of peer: HostName, at instant: Instant) async throws -> [GateProbe] {
        let member = try self.peer(peer)
        async let first = knock(member.address, migrationPorts.lowerBound, at: instant)
        async let last = knock(member.address, migrationPorts.upperBound, at: instant)
        return await [first, last]
    }

    private nonisolated func knock(_ address: IPAddress, _ port: Int, at instant: Instant) async -> GateProbe {
        let begin = ContinuousClock.now
        let source = mode == .transport ? TransportPorts.knock : nil
        let outcome = await runner.knock(address.description, port, source, Self.probePatience)
        let seconds = (ContinuousClock.now - begin).inSeconds
        return GateProbe(address: address.description, port: port, at: instant, outcome: outcome, seconds: seconds)
    }
}
