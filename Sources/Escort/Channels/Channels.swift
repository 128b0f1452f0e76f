// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The channels of one host, and the paths through them to its peers.
public struct Channels: Sendable {
    public let mesh: Mesh
    /// `nil` if this host has no certificate, and therefore no TLS.
    let tls: TLSFiles?
    let ssh: SSHAccess?
    private let certificate: @Sendable (HostName) async -> CertificateFacts?
    /// The channels for which the host is configured.
    let configured: Set<Channel>

    /// Creates the channels; `certificate` returns the one that the cluster issued to a peer, if the mesh uses
    /// certificates.
    public init(
        mesh: Mesh,
        tls: TLSFiles?,
        ssh: SSHAccess? = nil,
        configured: [Channel],
        certificate: @escaping @Sendable (HostName) async -> CertificateFacts? = { _ in nil }
    ) {
        self.certificate = certificate
        self.mesh = mesh
        self.tls = tls
        self.ssh = ssh
        self.configured = Set(configured)
    }

    /// Returns the channels that this host can use now, as far as it knows without its peers.
    public func offered() async -> [Channel] {
        let hasMesh = await mesh.isReady
        return Channel.allCases.filter { channel in
            guard configured.contains(channel) else { return false }
            return switch channel {
            case .ipsec: hasMesh
            case .ipsecTLS: hasMesh && tls != nil
            case .tls: tls != nil
            case .ssh: ssh != nil
            case .sealed: true
            case .plain: false
            }
        }
    }

    /// Throws unless this host is configured for the channel; `plain` has its own rules.
    public func checkConfigured(_ channel: Channel) throws(EscortError) {
        guard channel == .plain || configured.contains(channel) else {
            throw .channelNotHere(channel, reason: "this host does not offer it (escort.channels)")
        }
    }

    /// Proves that the path works now and is strong enough, and returns it; throws an `EscortError` otherwise.
    ///
    /// `timeLimit` applies to the proof; `window` is the time in which a move in the clear may begin.
    public func open(
        _ channel: Channel,
        to peer: HostName,
        timeLimit: Duration,
        window: Duration
    ) async throws -> any ProtectedPath {
        try checkConfigured(channel)
        switch channel {
        case .ipsec:
            _ = try await mesh.establish(with: peer, timeLimit: timeLimit)
            let certificate = await certificate(peer)
            return try await mesh.beginMove(peer, channel) {
                .tunnel(association: $0, counters: $1, certificate: certificate)
            }
        case .ipsecTLS:
            async let shown = handshake(with: peer, for: channel, within: timeLimit)
            _ = try await mesh.establish(with: peer, timeLimit: timeLimit)
            let handshake = try await shown
            return try await mesh.beginMove(peer, channel, tlsName: peer.rawValue) {
                .tunnelledSession(
                    association: $0,
                    counters: $1,
                    session: handshake.session,
                    certificate: handshake.certificate
                )
            }
        case .tls:
            let handshake = try await handshake(with: peer, for: channel, within: timeLimit)
            let address = try await mesh.peer(peer).address.description
            return try await mesh.beginMoveOnLAN(
                peer,
                channel,
                MigrationRoute(kind: .direct(address: address), tlsName: peer.rawValue)
            ) { .session(session: handshake.session, certificate: handshake.certificate, counters: $0) }
        case .plain:
            let member = try await mesh.peer(peer)
            let use = try await mesh.claim(peer)
            try await mesh.permitClear(to: peer, window: window)
            let route = MigrationRoute(kind: .direct(address: member.address.description))
            return PlainPath(route: route, use: use) { try? await mesh.forbidClear(to: peer) }
        case .ssh:
            guard let ssh else { throw EscortError.channelNotHere(channel, reason: "escort.ssh_uri is not set") }
            let member = try await mesh.peer(peer)
            let handshake = try await SSHHandshake(runner: mesh.runner, access: ssh)
                .perform(with: member, minimum: mesh.minimum, within: timeLimit)
            return try await mesh.beginMoveOnLAN(
                peer,
                channel,
                MigrationRoute(kind: .tunnelled, peerURI: ssh.uri(of: member))
            ) { .hostKey(hostKey: handshake.hostKey, session: handshake.session, counters: $0) }
        case .sealed:
            throw EscortError.channelNotHere(channel, reason: "a sealed image goes through the storage, not to a port")
        }
    }

    /// See `Mesh.probeGates`.
    public func probeGates(of peer: HostName, at instant: Instant) async throws -> [GateProbe] {
        try await mesh.probeGates(of: peer, at: instant)
    }

    private func handshake(
        with peer: HostName,
        for channel: Channel,
        within limit: Duration
    ) async throws -> TLSHandshake.Result {
        guard let tls else {
            throw EscortError.channelNotHere(channel, reason: "this host has no certificate (identity.folder)")
        }
        return try await TLSHandshake(runner: mesh.runner, files: tls)
            .perform(with: mesh.peer(peer), minimum: mesh.minimum, within: limit)
    }
}
