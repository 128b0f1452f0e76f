// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The passage of a move that QEMU encrypts itself, between the hosts' LAN addresses.
///
/// What goes to the peer's migration ports is counted at the gate, and a stream that begins in the clear is dropped
/// there: so what the gate counted and let through was TLS.
actor TLSPassage: Passage {
    nonisolated let route: MigrationRoute
    private let peer: HostName
    private let handshake: TLSHandshake.Result
    private let read: @Sendable () async throws -> LANReading
    private let opening: LANReading
    private var latest: LANReading?
    private var use: TunnelUse?

    init(
        peer: MeshPlan.Member,
        handshake: TLSHandshake.Result,
        use: TunnelUse,
        read: @escaping @Sendable () async throws -> LANReading
    ) async throws {
        self.peer = peer.name
        route = MigrationRoute(
            kind: .direct(address: peer.address.description),
            // QEMU compares it with the certificate's names, where addresses stand too.
            tlsName: peer.address.description
        )
        self.handshake = handshake
        self.read = read
        self.use = use
        opening = try await read()
    }

    func observe() async -> PassageObservation {
        do {
            let reading = try await read()
            latest = reading
            let dropped = reading.clear - min(opening.clear, reading.clear)
            let loss = dropped > 0 ? "\(dropped) packets of a migration in the clear were dropped at the gate" : nil
            return PassageObservation(bytes: sent, loss: loss)
        } catch {
            // A look that failed says nothing; only the last must succeed, or the verdict stays open.
            latest = nil
            return PassageObservation(bytes: 0, loss: nil)
        }
    }

    func end(hypervisorBytes: UInt64?) async -> Evidence {
        let observation = await observe()
        use = nil
        return Evidence(
            channel: .tls,
            before: opening.sent,
            after: latest?.sent,
            bytesThroughTunnel: latest == nil ? nil : sent,
            bytesByHypervisor: hypervisorBytes,
            droppedAtGates: latest.map { $0.dropped - min(opening.dropped, $0.dropped) },
            peerCertificate: handshake.certificate,
            tls: handshake.session,
            verdict: observation.isUp
                ? MoveMeter.verdict(tunnel: sent, hypervisor: hypervisorBytes, isComplete: latest != nil) : .leak
        )
    }

    private var sent: UInt64 {
        guard let latest else { return 0 }
        return latest.sent.bytes - min(opening.sent.bytes, latest.sent.bytes)
    }
}

/// One look at the gate's counters of what goes to a peer outside the tunnel.
struct LANReading: Sendable, Equatable {
    /// To the peer's migration ports.
    var sent: TrafficCounters
    /// Packets of migrations in the clear that were dropped.
    var clear: UInt64
    /// Packets of whatever origin dropped at the gates.
    var dropped: UInt64
}
