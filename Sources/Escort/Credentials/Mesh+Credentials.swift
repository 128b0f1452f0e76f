// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

/// The result of a change of credentials.
public enum CredentialSwap: Sendable, Equatable {
    /// Every peer that could be asked accepted them; `unasked` has the reasons for the others.
    case accepted(by: [HostName], unasked: [HostName: String])
    /// This peer accepted the old credentials but not the new ones; the old ones are in force again.
    case putBack(refusedBy: HostName, reason: String)
}

extension Mesh {
    /// Applies new credentials and verifies them with a handshake with each peer.
    ///
    /// Restores the old credentials if a peer that accepts those refuses the new ones. Running SAs and their traffic
    /// are not affected: the verification handshake is a separate connection without a child, and ends at once. The
    /// mesh must have been applied before.
    public func swap(to new: any Credentials, inventory: Inventory) async throws -> CredentialSwap {
        let old = credentials
        let (plan, _) = try ready()
        // A peer that refuses even the old credentials proves nothing about the new ones.
        let silent = await refusals(of: plan.peers)
        do {
            try await use(new, inventory)
            try Task.checkCancellation()
        } catch {
            await putBack(old, inventory)
            throw error
        }
        let refusing = await refusals(of: plan.peers)
        if let (peer, refusal) = refusing.filter({ silent[$0.key] == nil }).min(by: { $0.key < $1.key }) {
            await putBack(old, inventory)
            return .putBack(refusedBy: peer, reason: refusal.description)
        }
        return .accepted(
            by: plan.peers.map(\.name).filter { refusing[$0] == nil },
            unasked: refusing.mapValues(\.description)
        )
    }

    /// Restores the old credentials; if charon does not load them now, the next `apply` does.
    private func putBack(_ old: any Credentials, _ inventory: Inventory) async {
        try? await use(old, inventory)
    }

    /// Applies new credentials without verification: revocations and new anchors must not be delayed.
    public func use(_ new: any Credentials, _ inventory: Inventory) async throws {
        credentials = new
        try await apply(inventory)
    }

    /// Terminates the SAs of members whose keys are no longer valid; a peer with new keys is then connected again.
    public func end(_ peers: [HostName]) async throws {
        for association in try await charon.associations() {
            let name = association.name
            let isOfOne = peers.contains { name == MeshPlan.connection(of: $0) }
            if isOfOne { try await charon.terminate(name) }
        }
    }

    /// Returns why this host and the peer do not accept each other's present credentials.
    ///
    /// `nil` if both accept, or if the credentials cannot have changed since the SA was set up (pre-shared keys).
    func credentialRefusal(by peer: MeshPlan.Member) async -> EscortError? {
        guard !credentials.files.isEmpty else { return nil }
        return await verificationRefusal(by: peer)
    }

    /// Performs a verification handshake with the peer, separate from the SAs that carry traffic.
    ///
    /// It uses the inner addresses as identities; certificates contain them in addition to the names. Because the
    /// identities differ, charon does not replace an SA that carries traffic.
    private nonisolated func verificationRefusal(by peer: MeshPlan.Member) async -> EscortError? {
        let name = MeshConfiguration.verification(peer)
        do {
            // An earlier handshake may have completed after its limit. charon would use its SA, and swanctl wait in vain.
            try await charon.terminate(name)
            let seconds = Self.handshakeSeconds
            let arguments = ["--initiate", "--ike", name, "--timeout", "\(seconds)"]
            let result = try await runner(charon.command(arguments, within: .seconds(seconds) + Charon.patience))
            try await charon.terminate(name)
            return result.succeeded ? nil : Self.reason(forFailed: result, peer.name, socket: charon.socket)
        } catch let error as EscortError {
            return error
        } catch {
            try? await charon.terminate(name)
            return .peerDoesNotAnswer(peer.name, reason: "\(error)")
        }
    }

    /// How long a verification handshake may take, in seconds; a busy host has taken more than 4.
    private static let handshakeSeconds = 8

    /// Returns the refusals of the peers; performs up to 8 handshakes at a time.
    private nonisolated func refusals(of peers: [MeshPlan.Member]) async -> [HostName: EscortError] {
        await withTaskGroup(of: (HostName, EscortError?).self) { group in
            var rest = peers[...]
            func askNext() {
                guard let peer = rest.popFirst() else { return }
                group.addTask { [self] in (peer.name, await self.verificationRefusal(by: peer)) }
            }
            for _ in 1...8 { askNext() }
            var refusals: [HostName: EscortError] = [:]
            for await (peer, refusal) in group {
                refusals[peer] = refusal
                askNext()
            }
            return refusals
        }
    }
}
