// SPDX-License-Identifier: Apache-2.0
public import Escort
public import Fleet
public import Identity
public import Ledger
public import Logging

/// Keeps what this host proves itself with, and whom it trusts, up with the cluster's roster.
///
/// A newer roster counts for records and for whom the mesh leads to at once, before anything that can fail. What else it
/// asks for is tried, each step on its own, at each look until it succeeds: a revocation must not be lost because charon
/// was down for a moment.
public actor IdentityUpkeep {
    /// As it was last loaded, under the newest roster.
    public private(set) var identity: MemberIdentity
    /// What others verify records by; set anew with each roster.
    private let roster: CurrentRoster?
    private let folder: IdentityFolder
    private let ledgerFolder: String
    private let pki: PKIFolders?
    /// Whether the mesh goes by these certificates, and not by pre-shared keys.
    private let servesMesh: Bool
    private let logger: Logger
    private var outstanding: Outstanding
    /// The number of the roster that is noted as carried out; `nil`: none is.
    private var carriedOut: UInt64?
    private var heldBack: (certificate: String, until: ContinuousClock.Instant)?
    private var failures: [String] = []
    private var lastFailure: String?

    /// What is to be done and is not done yet.
    private struct Outstanding {
        /// The identity is to be checked under the newest roster.
        var identity = false
        /// The mesh is to trust and show what the identity folder has now.
        var credentials = false
        /// What these authenticated before is to end.
        var ended: Set<HostName> = []
        /// libvirt and QEMU, too; after a start nobody knows whether they do.
        var pki = true

        /// What an earlier life of this agent has left undone; all that may have to be done where it left no word, or
        /// this host's own keys are new.
        init(of identity: MemberIdentity, since before: Roster?) {
            let change = before.map { IdentityChange(from: $0, to: identity.roster) }
            guard let change, !change.ended.contains(identity.name) else {
                credentials = true
                ended = Set(
                    identity.roster.members.compactMap { if case .host(let host) = $0.name { host } else { nil } }
                )
                return
            }
            credentials = change.trustChanged
            ended = Set(change.endedHosts)
        }
    }

    /// How long a certificate that a peer refused is left alone.
    private static let pause: Duration = .seconds(300)

    public init(
        folder: IdentityFolder,
        identity: MemberIdentity,
        roster: CurrentRoster? = nil,
        ledgerFolder: String,
        pki: PKIFolders?,
        servesMesh: Bool,
        logger: Logger
    ) {
        self.folder = folder
        self.identity = identity
        self.roster = roster
        self.ledgerFolder = ledgerFolder
        self.pki = pki
        self.servesMesh = servesMesh
        self.logger = logger
        let before = folder.carriedOutRoster()
        carriedOut = before?.number
        outstanding = Outstanding(of: identity, since: before)
    }

    /// The hosts that still belong to the cluster: no tunnel leads to one that was removed.
    public func trusted(_ inventory: Inventory) -> Inventory {
        let removed = identity.roster.removedHosts
        return Inventory(hosts: inventory.hosts.filter { removed[$0.name] == nil }, removed: removed)
    }

    /// Looks for a newer roster and takes it up; says what changed and what failed, each once.
    public func look(_ mesh: Mesh, inventory: Inventory) async {
        failures = []
        await attempt { _ = try await folder.update(fromLedger: ledgerFolder) }
        await attempt { try enforce() }
        if outstanding.identity { await attempt { try await reload() } }
        if servesMesh, outstanding.credentials {
            // Without a trial: a peer that could hold up a revocation by not answering would.
            await attempt {
                try await mesh.use(try CertificateCredentials(identity), trusted(inventory))
                outstanding.credentials = false
            }
        }
        if servesMesh, !outstanding.ended.isEmpty {
            await attempt {
                try await mesh.end(outstanding.ended.sorted())
                outstanding.ended = []
            }
        }
        await attempt { try noteCarriedOut() }
        if !outstanding.identity, !outstanding.credentials { await attempt { try await renew(mesh, inventory) } }
        if outstanding.pki {
            await attempt {
                try await pki?.install(identity)
                outstanding.pki = false
            }
        }
        tellFailures()
    }

    private func attempt(_ step: () async throws -> Void) async {
        do { try await step() } catch { failures.append("\(error)") }
    }

    private func tellFailures() {
        let failure = failures.isEmpty ? nil : failures.joined(separator: "; ")
        if let failure, failure != lastFailure, !Task.isCancelled {
            logger.error("the identity is not brought up to date", metadata: ["reason": "\(failure)"])
        }
        lastFailure = failure
    }

    /// Puts the roster of the identity folder in force, and notes what that asks for.
    private func enforce() throws {
        let stored = try folder.storedRoster()
        guard stored != identity.roster else { return }
        let change = IdentityChange(from: identity.roster, to: stored)
        roster?.roster = stored
        identity = identity.under(stored)
        logger.notice("roster \(change.number) is in force", metadata: ["ended": "\(change.ended)"])
        outstanding.identity = true
        outstanding.ended.formUnion(change.endedHosts)
        if change.trustChanged { (outstanding.credentials, outstanding.pki) = (true, true) }
    }

    /// Keeps for a next life of this agent that the mesh has nothing left that the roster in force ended.
    private func noteCarriedOut() throws {
        let isDone = !servesMesh || (!outstanding.credentials && outstanding.ended.isEmpty)
        guard isDone, carriedOut != identity.roster.number else { return }
        try folder.noteCarriedOut(identity.roster)
        carriedOut = identity.roster.number
    }

    /// Loading replaces a certificate that had expired, or that no anchor vouches for any more.
    private func reload() async throws {
        let before = identity.certificate
        identity = try await folder.load()
        outstanding.identity = false
        if identity.certificate != before { (outstanding.credentials, outstanding.pki) = (true, true) }
    }

    private func renew(_ mesh: Mesh, _ inventory: Inventory) async throws {
        guard let renewal = identity.renewal else { return }
        if let heldBack, heldBack.certificate == renewal, heldBack.until > .now { return }
        let old = identity.certificate.pem
        identity = try await folder.install(certificate: renewal)
        outstanding.pki = true
        guard servesMesh else { return }
        do {
            switch try await mesh.swap(to: try CertificateCredentials(identity), inventory: trusted(inventory)) {
            case .accepted(let peers, let unasked):
                logger.notice(
                    "a new certificate is in force",
                    metadata: ["days": "\(identity.daysLeft)", "accepted by": "\(peers)"]
                )
                for (peer, reason) in unasked.sorted(by: { $0.key < $1.key }) {
                    logger.warning("\(peer) could not be asked about it", metadata: ["reason": "\(reason)"])
                }
            case .putBack(let peer, let reason):
                throw RenewalRefused(peer: peer, reason: reason)
            }
        } catch {
            heldBack = (renewal, .now + Self.pause)
            do { identity = try await folder.install(certificate: old) } catch {
                // The old one counts no more: the new one is all there is.
                outstanding.credentials = true
            }
            throw error
        }
    }
}

/// A peer does not take this host's new certificate.
struct RenewalRefused: Error, CustomStringConvertible {
    var peer: HostName
    var reason: String
    var description: String {
        "\(peer) does not accept the new certificate, the old one is in force again: \(reason);"
            + " is its agent up, and does it read the ledger? It is tried again in some minutes"
    }
}

extension CertificateCredentials {
    /// Those of an identity that was loaded.
    public init(_ identity: MemberIdentity) throws(EscortError) {
        try self.init(
            certificate: identity.certificatePath,
            key: identity.keyPath,
            anchors: identity.anchorsPath,
            revocations: identity.revocationsPath
        )
    }
}
