// SPDX-License-Identifier: Apache-2.0
public import HostOS
public import Fleet
public import Ledger

/// The administrator's cluster folder: the certificate authorities with their keys, and the roster they sign.
///
/// Only one process at a time can have it open. Every change writes `roster.json` last, and this file is
/// authoritative: an interrupted change is completed by repeating the call.
public actor ClusterAuthority {
    public nonisolated let folder: String
    private let lock: ProcessLock
    /// The last signed roster.
    public private(set) var roster: Roster
    /// The signed roster, as published.
    public private(set) var signed: SignedRoster
    let now: @Sendable () -> Instant

    public static let defaultFolder = "/etc/evenkeel/cluster"
    static let anchorLifetime: Duration = .seconds(10 * 365 * 86400)
    /// Default validity period of a member's certificate.
    public static let memberLifetime: Duration = .seconds(365 * 86400)

    private init(
        folder: String,
        lock: consuming ProcessLock,
        roster: Roster,
        signed: SignedRoster,
        now: @escaping @Sendable () -> Instant
    ) {
        self.folder = folder
        self.lock = lock
        self.roster = roster
        self.signed = signed
        self.now = now
    }

    /// Returns whether the folder holds a cluster.
    public static func exists(folder: String) -> Bool { IdentityFiles.exists(rosterPath(folder)) }

    /// Creates a cluster with one authority and no member; throws if the folder holds a cluster.
    public static func create(
        folder: String,
        now: @escaping @Sendable () -> Instant = { .now }
    ) async throws -> ClusterAuthority {
        // The path is part of openssl's configuration, in which these characters have a meaning.
        guard folder.hasPrefix("/"), folder.utf8.allSatisfy({ $0 > 0x20 && !"$#\\\"'`;".utf8.contains($0) }) else {
            throw IdentityError.file(
                path: folder,
                reason: "it is not an absolute path without blanks and special characters"
            )
        }
        guard !exists(folder: folder) else { throw IdentityError.exists(path: rosterPath(folder)) }
        try IdentityFiles.makeFolder(folder, mode: 0o700)
        let lock = try ProcessLock(path: "\(folder)/lock", purpose: "command on this cluster folder")
        for name in ["anchors", "members"] { try IdentityFiles.makeFolder("\(folder)/\(name)", mode: 0o700) }
        let cluster = String(SigningKey().verification.id)
        let at = now()
        let authority = try await Authority.create(
            in: "\(folder)/anchors",
            cluster: cluster,
            from: at,
            until: at + anchorLifetime
        )
        let anchor = try await anchor(of: authority, at: at)
        let roster = Roster(cluster: cluster, number: 1, issuedAt: at, anchors: [anchor], members: [])
        let signed = try SignedRoster(roster, signedBy: [try authority.signingKey()])
        try write(signed, to: rosterPath(folder))
        return ClusterAuthority(folder: folder, lock: lock, roster: roster, signed: signed, now: now)
    }

    /// Opens the cluster in the folder.
    public static func open(
        folder: String,
        now: @escaping @Sendable () -> Instant = { .now }
    ) async throws -> ClusterAuthority {
        let path = rosterPath(folder)
        guard IdentityFiles.exists(path) else {
            throw IdentityError.file(
                path: folder,
                reason: "it is not a cluster folder; create one with 'evenkeel init'"
            )
        }
        let lock = try ProcessLock(path: "\(folder)/lock", purpose: "command on this cluster folder")
        let signed = try SignedRoster(json: Array(IdentityFiles.read(path).utf8))
        // Only keys in this folder are trusted: otherwise the roster of another cluster would be signed again.
        let keys = try keys(in: folder)
        guard let roster = try signed.verified(by: keys) else { throw IdentityError.foreignRoster(path: path) }
        return ClusterAuthority(folder: folder, lock: lock, roster: roster, signed: signed, now: now)
    }

    /// Publishes the signed roster in the ledger's folder, where every member reads it.
    ///
    /// First adds the ends of the streams for members that were removed without access to the ledger: until then all
    /// their records are rejected.
    ///
    /// Throws if the folder is not a ledger. Throws if the ledger's roster is newer, or differs with the same number:
    /// members would reject this one.
    public func publish(to ledgerFolder: String) async throws {
        guard IdentityFiles.exists("\(ledgerFolder)/ledger.json") else {
            let reason = "it is not a ledger; check ledger.folder and the mount, or run 'evenkeel ledger create'"
            throw IdentityError.file(path: ledgerFolder, reason: reason)
        }
        try await fillEnds(from: ledgerFolder)
        let path = Self.rosterPath(ledgerFolder)
        let keys = try Self.keys(in: folder)
        if let bytes = try? IdentityFiles.readPublished(path), let there = try? SignedRoster(json: bytes),
            let published = try? there.verified(by: keys), published.number >= roster.number, published != roster
        {
            throw IdentityError.publishedIsNewer(path: path, published: published.number, own: roster.number)
        }
        try Self.write(signed, to: path)
    }

    /// Returns the keys of all authorities in the folder, including retired ones.
    private static func keys(in folder: String) throws -> [VerificationKey] {
        try IdentityFiles.entries("\(folder)/anchors").map {
            try Authority(folder: "\(folder)/anchors/\($0)").signingKey().verification
        }
    }

    // MARK: for the extensions

    func authority(_ key: VerificationKey) -> Authority { Authority(folder: "\(folder)/anchors/\(key.id)") }

    /// Returns the anchor that issues certificates.
    ///
    /// During a rotation this is the old one, until all members can have received the new one.
    func issuingAnchor() async throws -> Roster.Anchor {
        try await isIntroducing() ? roster.anchors[1] : roster.anchors[0]
    }

    /// Signs and writes a changed roster.
    ///
    /// Retired anchors sign too, as long as their keys are in the folder: with them a member that was off during the
    /// whole rotation can still verify the roster.
    func save(_ changed: Roster) throws {
        var next = changed
        next.number = roster.number + 1
        next.issuedAt = now()
        var keys = try next.anchors.map { try authority($0.key).signingKey() }
        for id in IdentityFiles.entries("\(folder)/anchors") where !keys.contains(where: { $0.verification.id == id }) {
            if let key = try? Authority(folder: "\(folder)/anchors/\(id)").signingKey() { keys.append(key) }
        }
        let signed = try SignedRoster(next, signedBy: keys)
        try Self.write(signed, to: Self.rosterPath(folder))
        self.signed = signed
        roster = next
    }

    static func anchor(of authority: Authority, at now: Instant) async throws -> Roster.Anchor {
        let certificate = try await authority.certificate()
        return Roster.Anchor(
            certificate: certificate.pem,
            revocations: try await authority.revocationList(at: now, until: certificate.facts.expires),
            key: certificate.key,
            expires: certificate.facts.expires
        )
    }

    private static func write(_ signed: SignedRoster, to path: String) throws {
        try IdentityFiles.write(String(decoding: try signed.json, as: UTF8.self), to: path)
    }

    private static func rosterPath(_ folder: String) -> String { "\(folder)/\(SignedRoster.fileName)" }
}
