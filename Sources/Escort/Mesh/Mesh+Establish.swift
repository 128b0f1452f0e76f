// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

extension Mesh {
    /// Proves that the tunnel to a peer works now and is strong enough, and returns its SA; throws otherwise.
    ///
    /// An SA in charon's list proves nothing: it outlives its peer until dead peer detection. The peer must therefore
    /// take part in an exchange of new IKE keys: its charon runs and has the credentials. A packet through the tunnel
    /// must be answered through the tunnel: ESP passes in both directions.
    ///
    /// Failures are not worked around, with one exception: an SA that the peer no longer has is set up again, unless a
    /// move is using it.
    public func establish(
        with peer: HostName,
        timeLimit: Duration = .seconds(8)
    ) async throws -> SecurityAssociation {
        let (plan, _) = try ready()
        let member = try plan.peer(peer)
        let deadline = ContinuousClock.now + timeLimit
        let implementation = try await charon.implementation()
        // An SA outlives the certificates it was set up with, and the rekeying below does not verify them again.
        async let refusal = credentialRefusal(by: member)
        // The side that does not initiate gives the other a moment to do so.
        try await proveIKE(with: member, waits: !plan.initiates(to: member), deadline: deadline)
        let proven: Live
        do {
            proven = try await provePath(to: member, from: plan.local, implementation, deadline: deadline)
        } catch {
            throw await refusal ?? error
        }
        if let refusal = await refusal { throw refusal }
        return SecurityAssociation(proven.association, proven.child, implementation)
    }

    private typealias Live = (association: IKEAssociation, child: IKEAssociation.Child)

    /// Checks that the SA is strong enough, that packets are routed into it, and that they pass.
    private func provePath(
        to peer: MeshPlan.Member,
        from local: MeshPlan.Member,
        _ implementation: ESPImplementation,
        deadline: ContinuousClock.Instant
    ) async throws -> Live {
        let reading = try await liveReading(of: peer, deadline: deadline)
        if let weakness = minimum.weakness(of: reading.association, reading.child) {
            throw EscortError.weakAssociation(peer.name, weakness)
        }
        try await checkRoute(to: peer, from: local, implementation)
        return try await proveTraffic(with: peer, before: reading.child, deadline: deadline)
    }

    /// Tries until it succeeds, the cause is clear, or time is up.
    ///
    /// When both sides initiate at once, charon's uniqueness check may end either attempt.
    private func proveIKE(
        with peer: MeshPlan.Member,
        waits: Bool,
        deadline: ContinuousClock.Instant
    ) async throws {
        while true {
            do {
                return try await tryIKE(with: peer, waits: waits, deadline: deadline)
            } catch EscortError.peerDoesNotAnswer where Self.remaining(deadline) > .seconds(1) && !isInUse(peer.name) {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func tryIKE(with peer: MeshPlan.Member, waits: Bool, deadline: ContinuousClock.Instant) async throws {
        let before = try await charon.associations(peer.connection)
        if before.contains(where: { $0.liveChild != nil }) {
            let old = Set(before.map(\.spis))
            let inUse = isInUse(peer.name)
            // Half of the time is for the existing SA, the other half for a new one; an SA in use gets all of it.
            let patience = inUse ? deadline : .now + Self.remaining(deadline) / 2
            try await charon.beginRekeying(peer.connection, within: Self.remaining(patience))
            if try await live(peer, until: patience, where: { !old.contains($0.spis) }) != nil { return }
            // A move from the peer to this host has no meter here, but its inbound packets show that the SA is alive.
            let after = try await charon.associations(peer.connection)
            let isAlive = after.compactMap(\.secondsSinceInbound).contains { $0 <= 3 }
            guard !inUse, !isAlive else {
                throw EscortError.peerDoesNotAnswer(peer.name, reason: "it did not exchange new keys in time")
            }
        } else if waits || !before.isEmpty {
            // A handshake may be under way; if it succeeds, no other is needed.
            let patience = min(deadline, .now + .milliseconds(1500))
            if try await live(peer, until: patience, where: { _ in true }) != nil { return }
        }
        // Also ends an attempt that waits for its next retransmission.
        try await charon.terminate(peer.connection)
        try await initiate(peer, deadline: deadline)
    }

    private func initiate(_ peer: MeshPlan.Member, deadline: ContinuousClock.Instant) async throws {
        let seconds = max(1, Int(Self.remaining(deadline).inSeconds))
        let arguments = ["--initiate", "--child", peer.connection, "--timeout", "\(seconds)"]
        let result: CommandResult
        do {
            result = try await runner(charon.command(arguments, within: .seconds(seconds) + Charon.patience))
        } catch let error as CommandError {
            throw EscortError.peerDoesNotAnswer(peer.name, reason: error.description)
        }
        if result.succeeded { return }
        throw Self.reason(forFailed: result, peer.name, socket: charon.socket)
    }

    /// Returns the error for a failed `swanctl --initiate`.
    static func reason(forFailed result: CommandResult, _ peer: HostName, socket: String?) -> EscortError {
        let said = result.standardOutput + result.standardError
        if said.contains("connecting to '") {
            return .charonNotRunning(socket: socket ?? "the default socket", reason: "the connection failed")
        }
        if said.contains("AUTHENTICATION_FAILED") || said.contains("AUTH_FAILED")
            || said.contains("MAC mismatched") || said.contains("no shared key found")
        {
            return .authenticationFailed(peer)
        }
        if said.contains("NO_PROPOSAL_CHOSEN") || said.contains("INVALID_KE_PAYLOAD") { return .noProposalChosen(peer) }
        if said.contains("TS_UNACCEPTABLE") { return .differentSelectors(peer) }
        return .peerDoesNotAnswer(peer, reason: result.errorMessage)
    }

    /// Checks that a device or policy leads packets to the peer into IPsec, with the inner address as their source.
    private func checkRoute(
        to peer: MeshPlan.Member,
        from local: MeshPlan.Member,
        _ implementation: ESPImplementation
    ) async throws {
        let (here, there) = (local.inner, peer.inner)
        let result = try await runner(HostGates.ip([there.ipOption, "route", "get", there.description]))
        let words = result.standardOutput.split(whereSeparator: \.isWhitespace).map(String.init)
        func value(_ key: String) -> String? {
            words.firstIndex(of: key).flatMap { $0 + 1 < words.count ? words[$0 + 1] : nil }
        }
        guard result.succeeded, let device = value("dev") else {
            throw EscortError.wrongRoute(peer.name, reason: result.errorMessage)
        }
        guard value("src") == here.description else {
            throw EscortError.wrongRoute(peer.name, reason: "packets to \(there) leave \(device) with another source")
        }
        switch implementation {
        case .userSpace:
            guard device == ESPImplementation.userSpaceDevice else {
                throw EscortError.wrongRoute(peer.name, reason: "packets to \(there) leave through \(device)")
            }
        case .kernel:
            let policies = try await runner.require(
                "reading the kernel's IPsec policies",
                HostGates.ip(["xfrm", "policy", "list", "dir", "out", "dst", there.hostPrefix])
            )
            guard policies.contains("proto esp") else {
                throw EscortError.wrongRoute(peer.name, reason: "no IPsec policy covers packets to \(there)")
            }
        }
    }

    /// Sends a connection request to a port without a listener, and waits for any answer.
    ///
    /// The answer must have arrived through the SA.
    private func proveTraffic(
        with peer: MeshPlan.Member,
        before: IKEAssociation.Child,
        deadline: ContinuousClock.Instant
    ) async throws -> Live {
        let answer: CommandResult
        do {
            answer = try await runner(
                Self.probe(peer.inner, port: Self.probePort, within: Self.remaining(deadline))
            )
        } catch CommandError.timedOut {
            throw EscortError.noTrafficThroughTunnel(peer.name, reason: "\(peer.name) did not answer in time")
        }
        guard answer.succeeded || answer.standardError.contains("Connection refused") else {
            throw EscortError.noTrafficThroughTunnel(peer.name, reason: answer.errorMessage)
        }
        let arrived: @Sendable (IKEAssociation) -> Bool = { association in
            association.children.contains { child in
                let already = child.inboundSPI == before.inboundSPI ? before.inbound?.packets ?? 0 : 0
                return child.inbound.map { $0.packets > already } ?? false
            }
        }
        guard let live = try await live(peer, until: max(deadline, .now + .seconds(1)), where: arrived) else {
            throw EscortError.noTrafficThroughTunnel(peer.name, reason: "the answer did not come through the SA")
        }
        return live
    }

    static let probePort = 9

    static func probe(_ address: IPAddress, port: Int, within limit: Duration) -> Command {
        Command(
            "bash",
            ["-c", "exec 3<>/dev/tcp/\(address)/\(port)"],
            environment: ["LC_ALL": "C"],
            timeLimit: limit
        )
    }

    private func liveReading(of peer: MeshPlan.Member, deadline: ContinuousClock.Instant) async throws -> Live {
        guard let live = try await live(peer, until: max(deadline, .now + .seconds(1)), where: { _ in true }) else {
            throw EscortError.peerDoesNotAnswer(peer.name, reason: "its SA disappeared at once")
        }
        return live
    }

    /// Waits for an association that carries traffic and satisfies the condition; returns `nil` at the deadline.
    private func live(
        _ peer: MeshPlan.Member,
        until deadline: ContinuousClock.Instant,
        where condition: @Sendable (IKEAssociation) -> Bool
    ) async throws -> Live? {
        while true {
            let reading = TunnelReading(associations: try await charon.associations(peer.connection))
            if let live = reading.live(where: condition) { return live }
            guard ContinuousClock.now < deadline else { return nil }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private static func remaining(_ deadline: ContinuousClock.Instant) -> Duration {
        max(deadline - .now, .milliseconds(500))
    }
}
