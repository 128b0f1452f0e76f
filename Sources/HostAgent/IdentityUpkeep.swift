// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Escort
public import Fleet
public import Identity
public import Ledger
public import Logging

/// Keeps this host's credentials and its trusted peers in step with the cluster's roster.
///
/// A newer roster applies at once to records and to the peers of the mesh, before any step that can fail. Its other
/// steps are each retried at every check until they succeed: a revocation must not be lost because charon was down
/// for a moment.
public actor IdentityUpkeep {
    /// The identity as last loaded, under the newest roster.
    public private(set) var identity: MemberIdentity
    /// Verifies the records of others; replaced with each roster.
    private let roster: CurrentRoster?
    private let folder: IdentityFolder
    private let ledgerFolder: String
    private let pki: PKIFolders?
    /// Whether the mesh uses these certificates instead of pre-shared keys.
    private let servesMesh: Bool
    private let logger: Logger
    private var outstanding: Outstanding
    /// The number of the last roster recorded as carried out; `nil` if none is.
    private var carriedOut: UInt64?
    private var heldBack: (certificate: String, until: ContinuousClock.Instant)?
    private var failures: [String] = []
    private let updating = LastingFailure()

    /// The steps that are still to be done.
    private struct Outstanding {
        /// Check the identity under the newest roster.
        var identity = false
        /// Apply the identity folder's anchors and certificate to the mesh.
        var credentials = false
        /// End the connections that these members authenticated before.
        var ended: Set<HostName> = []
        /// Update libvirt and QEMU too; after a start it is unknown whether they are up to date.
        var pki = true

        /// The steps that an earlier run of this agent left undone.
        ///
        /// All possible steps, if it recorded nothing or this host's own keys are new.
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

    /// Pause before a certificate that a peer refused is tried again.
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

    /// Returns the inventory without the removed hosts, to which no tunnel leads.
    public func trusted(_ inventory: Inventory) -> Inventory {
        let removed = identity.roster.removedHosts
        return Inventory(hosts: inventory.hosts.filter { removed[$0.name] == nil }, removed: removed)
    }

    /// Checks for a newer roster and applies it; logs each change and each failure once.
    public func look(_ mesh: Mesh, inventory: Inventory) async {
        failures = []
        await attempt { _ = try await folder.update(fromLedger: ledgerFolder) }
        await attempt { try enforce() }
        if outstanding.identity { await attempt { try await reload() } }
        if servesMesh, outstanding.credentials {
            // Without verification: a peer that does not answer could delay a revocation.
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
        await attempt { try recordCarriedOut() }
        if !outstanding.identity, !outstanding.credentials { await attempt { try await renew(mesh, inventory) } }
        if outstanding.pki {
            await attempt {
                try await pki?.install(identity)
                outstanding.pki = false
            }
        }
        logFailures()
    }

    private func attempt(_ step: () async throws -> Void) async {
        do { try await step() } catch { failures.append("\(error)") }
    }

    private func logFailures() {
        guard !Task.isCancelled else { return }
        let change = updating.take(failures.isEmpty ? nil : failures.joined(separator: "; "))
        logger.log(change, "cannot update the identity; trying again", ended: "the identity is up to date again")
    }

    /// Puts the roster of the identity folder in force and collects the steps that follow from it.
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

    /// Records for the next run of this agent that the mesh has ended everything that the roster in force ended.
    private func recordCarriedOut() throws {
        let isDone = !servesMesh || (!outstanding.credentials && outstanding.ended.isEmpty)
        guard isDone, carriedOut != identity.roster.number else { return }
        try folder.recordCarriedOut(identity.roster)
        carriedOut = identity.roster.number
    }

    /// Loads the identity, which replaces a certificate that has expired or that no present anchor issued.
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
                    "the new certificate is in force",
                    metadata: ["days": "\(identity.daysLeft)", "accepted by": "\(peers)"]
                )
                for (peer, reason) in unasked.sorted(by: { $0.key < $1.key }) {
                    logger.warning("\(peer): no answer about the new certificate", metadata: ["reason": "\(reason)"])
                }
            case .putBack(let peer, let reason):
                throw RenewalRefused(peer: peer, reason: reason)
            }
        } catch {
            heldBack = (renewal, .now + Self.pause)
            do { identity = try await folder.install(certificate: old) } catch {
                // The old certificate is no longer valid: only the new one is left.
                outstanding.credentials = true
            }
            throw error
        }
    }
}

/// A peer does not accept this host's new certificate.
struct RenewalRefused: Error, CustomStringConvertible {
    var peer: HostName
    var reason: String
    var description: String {
        "\(peer) does not accept the new certificate: \(reason); the old one is in force again, and the agent"
            + " retries in some minutes. Check that the peer's agent runs and can read the ledger"
    }
}

extension CertificateCredentials {
    /// Returns the mesh credentials of a loaded identity.
    public init(_ identity: MemberIdentity) throws(EscortError) {
        try self.init(
            certificate: identity.certificatePath,
            key: identity.keyPath,
            anchors: identity.anchorsPath,
            revocations: identity.revocationsPath
        )
    }
}
