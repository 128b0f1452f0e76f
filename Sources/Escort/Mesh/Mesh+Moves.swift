// SPDX-License-Identifier: Apache-2.0
internal import Fleet

extension Mesh {
    /// Begins the evidence of one move; call it right before the migration starts.
    ///
    /// Only one move to a peer at a time, because all of them share the tunnel's counters. Throws `EscortError.inUse`
    /// until the previous move's meter has ended or is released.
    func beginMove(
        _ peer: HostName,
        _ channel: Channel = .ipsec,
        tlsName: String? = nil,
        proof: @escaping MoveMeter.Proof = MoveMeter.proofByKey
    ) async throws -> MoveMeter {
        let (plan, implementation) = try ready()
        let member = try plan.peer(peer)
        let use = try claim(peer)
        return try await MoveMeter(
            peer: peer,
            channel: channel,
            route: MigrationRoute(kind: .direct(address: member.inner.description), tlsName: tlsName),
            proof: proof,
            minimum: minimum,
            implementation: implementation,
            use: use
        ) { [self] in try await reading(of: member) }
    }

    /// Begins the evidence of a move outside the tunnel; here, too, only one at a time to each peer.
    func beginMoveOnLAN(
        _ peer: HostName,
        _ channel: Channel,
        _ route: MigrationRoute,
        proof: @escaping CountedPath.Proof
    ) async throws -> CountedPath {
        let member = try self.peer(peer)
        let use = try claim(peer)
        let counter = channel == .ssh ? Gates.sshCounter(member) : Gates.lanCounter(member)
        return try await CountedPath(channel, route: route, proof: proof, use: use) { [hostGates] in
            let counters = try await hostGates.counters()
            guard let sent = counters[counter], let clear = counters[Gates.clearCounter(member)],
                let gates = GateCounters(named: counters)
            else {
                throw EscortError.refused(step: "reading the gates' counters", reason: "some are missing")
            }
            return LANReading(
                sent: TrafficCounters(bytes: sent.bytes, packets: sent.packets),
                clear: clear.packets,
                dropped: gates.packets
            )
        }
    }

    /// Claims the path to a peer for one move, whatever its channel: each of two simultaneous moves could cover the
    /// other's bytes.
    ///
    /// Does not suspend, so only one of two simultaneous calls succeeds.
    func claim(_ peer: HostName) throws(EscortError) -> TunnelUse {
        guard !isInUse(peer) else { throw .inUse(peer) }
        let use = TunnelUse()
        uses[peer] = WeakUse(use: use)
        return use
    }

    /// Whether a move to the peer is being metered; its tunnel must then not be torn down for repair.
    func isInUse(_ peer: HostName) -> Bool { uses[peer]?.use != nil }

    private nonisolated func reading(of member: MeshPlan.Member) async throws -> TunnelReading {
        let associations = try await charon.associations(member.connection)
        let counters = (try? await hostGates.counters()) ?? [:]
        // A cancelled reading may be incomplete.
        try Task.checkCancellation()
        return TunnelReading(
            associations: associations,
            gate: counters[Gates.tunnelCounter(member)].map { .init(bytes: $0.bytes, packets: $0.packets) },
            dropped: GateCounters(named: counters)?.packets
        )
    }
}
