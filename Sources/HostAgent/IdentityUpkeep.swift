// SPDX-License-Identifier: Apache-2.0
public import Escort
public import Fleet
public import Identity
public import Ledger
public import Logging

/// Keeps what this host proves itself with, and whom it trusts, up with the cluster's roster.
public actor IdentityUpkeep {
    /// As it was last loaded.
    public private(set) var identity: MemberIdentity
    /// What others verify records by; set anew with each roster.
    private let roster: CurrentRoster?
    private let folder: IdentityFolder
    private let ledgerFolder: String
    private let pki: PKIFolders?
    /// Whether the mesh goes by these certificates, and not by pre-shared keys.
    private let servesMesh: Bool
    private let logger: Logger
    private var heldBack: (certificate: String, until: ContinuousClock.Instant)?
    private var lastFailure: String?

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
    }

    /// The hosts that still belong to the cluster: no tunnel leads to one that was removed.
    public func trusted(_ inventory: Inventory) -> Inventory {
        let revoked = identity.revokedHosts
        return Inventory(hosts: inventory.hosts.filter { !revoked.contains($0.name) })
    }

    /// Looks for a newer roster and takes it up; says what changed and what failed, each once.
    public func look(_ mesh: Mesh, inventory: Inventory) async {
        do {
            try await takeUp(mesh, inventory)
            lastFailure = nil
        } catch {
            let failure = "\(error)"
            if failure != lastFailure, !Task.isCancelled {
                logger.error("the identity is not brought up to date", metadata: ["reason": "\(failure)"])
            }
            lastFailure = failure
        }
    }

    private func takeUp(_ mesh: Mesh, _ inventory: Inventory) async throws {
        let change = try await folder.update(fromLedger: ledgerFolder)
        if change.isNew {
            logger.notice("roster \(change.number) is in force", metadata: ["ended": "\(change.ended)"])
            identity = try await folder.load()
            roster?.roster = identity.roster
            if change.trustChanged {
                // Without a trial: a peer that could hold up a revocation by not answering would.
                if servesMesh { try await mesh.use(try CertificateCredentials(identity), trusted(inventory)) }
                try await pki?.install(identity)
            }
            if servesMesh { try await mesh.end(change.endedHosts) }
        }
        try await renew(mesh, inventory)
    }

    private func renew(_ mesh: Mesh, _ inventory: Inventory) async throws {
        guard let renewal = identity.renewal else { return }
        if let heldBack, heldBack.certificate == renewal, heldBack.until > .now { return }
        let old = identity.certificate.pem
        identity = try await folder.install(certificate: renewal)
        if servesMesh {
            do {
                switch try await mesh.swap(to: try CertificateCredentials(identity), inventory: trusted(inventory)) {
                case .accepted(let peers, let unasked):
                    logger.notice(
                        "a new certificate is in force",
                        metadata: ["expires": "\(identity.facts.expires)", "accepted by": "\(peers)"]
                    )
                    for (peer, reason) in unasked.sorted(by: { $0.key < $1.key }) {
                        logger.warning("\(peer) could not be asked about it", metadata: ["reason": "\(reason)"])
                    }
                case .putBack(let peer, let reason):
                    throw RenewalRefused(peer: peer, reason: reason)
                }
            } catch {
                identity = try await folder.install(certificate: old)
                heldBack = (renewal, .now + Self.pause)
                throw error
            }
        }
        try await pki?.install(identity)
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
