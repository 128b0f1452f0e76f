// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

/// What became of new credentials.
public enum CredentialSwap: Sendable, Equatable {
    /// Every peer that could be asked accepted them; those that could not are named with the reason.
    case accepted(by: [HostName], unasked: [HostName: String])
    /// This peer accepted the old ones and not the new: the old ones are in force again.
    case putBack(refusedBy: HostName, reason: String)
}

extension Mesh {
    /// Puts new credentials in force and proves them by a handshake with each peer; puts the old ones back if a peer
    /// that took those refuses these.
    ///
    /// Running SAs, and what passes through them, are not touched: the handshake is a connection of its own, without a
    /// child, which ends at once. What the mesh of this host was before must have been applied.
    public func swap(to new: any Credentials, inventory: Inventory) async throws -> CredentialSwap {
        let old = credentials
        let (plan, _) = try ready()
        // Who does not take the old ones says nothing about the new.
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

    /// Puts the old ones back in force; what charon does not take now, the next `apply` loads.
    private func putBack(_ old: any Credentials, _ inventory: Inventory) async {
        try? await use(old, inventory)
    }

    /// Puts new credentials in force without asking any peer: for revocations and anchors, which brook no delay.
    public func use(_ new: any Credentials, _ inventory: Inventory) async throws {
        credentials = new
        try await apply(inventory)
    }

    /// Ends what was authenticated by a member whose keys count no more; a peer with new keys is then opened anew.
    public func end(_ peers: [HostName]) async throws {
        for association in try await charon.associations() {
            let name = association.name
            let isOfOne = peers.contains { name == MeshPlan.connection(of: $0) }
            if isOfOne { try await charon.terminate(name) }
        }
    }

    /// Why the peer does not accept the credentials in force, or this host its; `nil` when both do, and where they have
    /// nothing that could have changed since (pre-shared keys).
    func credentialRefusal(by peer: MeshPlan.Member) async -> EscortError? {
        guard !credentials.files.isEmpty else { return nil }
        return await verificationRefusal(by: peer)
    }

    /// A handshake of its own with the peer.
    ///
    /// It goes by the inner addresses, which certificates bear beside the names, so that charon sees other identities
    /// than in the SAs that carry traffic, and does not take one for the replacement of the other.
    private nonisolated func verificationRefusal(by peer: MeshPlan.Member) async -> EscortError? {
        let name = MeshConfiguration.verification(peer)
        do {
            let arguments = ["--initiate", "--ike", name, "--timeout", "4"]
            let result = try await runner(charon.command(arguments, within: .seconds(6)))
            try await charon.terminate(name)
            return result.succeeded ? nil : Self.reason(forFailed: result, peer.name, socket: charon.socket)
        } catch let error as EscortError {
            return error
        } catch {
            return .peerDoesNotAnswer(peer.name, reason: "\(error)")
        }
    }

    /// The peers that refuse, a few asked at a time.
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
