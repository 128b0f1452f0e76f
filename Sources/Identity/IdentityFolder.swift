// SPDX-License-Identifier: Apache-2.0
public import HostOS
public import Fleet
public import Ledger

/// A member's identity folder: its key, its certificate, and the roster that it trusts.
///
/// `roster.json` is authoritative and is replaced first. Anchors and revocation lists next to it are copies for other
/// programs, rewritten if they differ. A renewed certificate is installed separately, so that it can be reverted
/// without reverting revocations.
public struct IdentityFolder: Sendable {
    public let paths: IdentityPaths
    private let now: @Sendable () -> Instant
    private let storage: StorageReader

    public static let defaultFolder = "/etc/evenkeel/identity"

    public init(_ folder: String, now: @escaping @Sendable () -> Instant = { .now }) {
        self.init(folder, now: now, storage: StorageReader())
    }

    init(
        _ folder: String,
        now: @escaping @Sendable () -> Instant = { .now },
        storage: StorageReader
    ) {
        paths = IdentityPaths(folder: folder)
        self.now = now
        self.storage = storage
    }

    /// Reads the identity and checks all of it.
    ///
    /// No other user can read the key or write the rest. Key and certificate are a pair. The certificate is issued by
    /// an anchor and currently valid. The roster lists this member.
    public func load() async throws -> MemberIdentity {
        let roster = try storedRoster()
        try Self.writeCopies(of: roster, to: paths)
        return try await identity(under: roster)
    }

    /// Adopts a published roster if it is newer and an anchor of the stored roster signed it.
    ///
    /// Throws if it is older, differs with the same number, or belongs to another cluster. Anchors and revocation
    /// lists change with it; a renewed certificate needs `install`.
    public func update(from published: SignedRoster) async throws -> IdentityChange {
        let before = try storedRoster()
        guard let next = try published.verified(by: before.anchors.map(\.key)), next.cluster == before.cluster else {
            throw IdentityError.foreignRoster(path: SignedRoster.fileName)
        }
        guard next.number > before.number else {
            guard next == before else {
                throw IdentityError.rolledBack(seen: before.number, published: next.number)
            }
            return IdentityChange(number: before.number)
        }
        try Self.write(published, next, to: paths)
        return IdentityChange(from: before, to: next)
    }

    /// Adopts the roster published in the ledger's folder; see `update(from:)`.
    ///
    /// Throws after some seconds if the storage does not answer.
    public func update(fromLedger folder: String) async throws -> IdentityChange {
        let path = "\(folder)/\(SignedRoster.fileName)"
        let bytes = try await storage.read(path)
        guard let published = try? SignedRoster(json: bytes) else {
            throw IdentityError.file(path: path, reason: "it is not a signed roster")
        }
        return try await update(from: published)
    }

    /// Checks and installs a certificate for the stored key: a renewed one, or the previous one to revert.
    public func install(certificate pem: String) async throws -> MemberIdentity {
        let roster = try storedRoster()
        _ = try await candidate(pem, for: try key())
        try IdentityFiles.write(pem, to: paths.certificate)
        return try await identity(under: roster)
    }

    // MARK: parts

    private func identity(under roster: Roster) async throws -> MemberIdentity {
        let key = try key()
        let id = key.verification
        guard let member = roster.members.first(where: { $0.keys.contains(id) }) else {
            // The certificate's subject shows whether the member was replaced or never existed.
            let certificate = try await certificate()
            let named = roster.members.first { certificate.facts.subject == "CN=\(Enrollment.subject(of: $0.name))" }
            throw named.map { IdentityError.replaced($0.name) } ?? .notAMember(folder: paths.folder)
        }
        if let revocation = member.revocation {
            throw IdentityError.revoked(member.name, reason: revocation.text)
        }
        let certificate = try await usable(try await certificate(), key: key, listed: member.certificate)
        return MemberIdentity(
            name: member.name,
            signingKey: key,
            roster: roster,
            certificate: certificate,
            paths: paths
        )
    }

    /// Returns the installed certificate; the roster's if the installed one is no longer valid after a long downtime.
    private func usable(_ certificate: Certificate, key: SigningKey, listed: String) async throws -> Certificate {
        do {
            try await check(certificate, at: paths.certificate, against: key)
            return certificate
        } catch let error as IdentityError {
            switch error {
            case .expired, .notTrusted: break
            default: throw error
            }
            guard listed != certificate.pem, let renewed = try? await candidate(listed, for: key) else { throw error }
            try IdentityFiles.write(listed, to: paths.certificate)
            return renewed
        }
    }

    /// Returns a certificate that is not installed yet, after checking it.
    private func candidate(_ pem: String, for key: SigningKey) async throws -> Certificate {
        let draft = "\(paths.certificate).candidate"
        try IdentityFiles.write(pem, to: draft)
        defer { IdentityFiles.remove(draft) }
        let certificate = try await Certificate(pem: pem, path: draft)
        try await check(certificate, at: draft, against: key)
        return certificate
    }

    private func check(_ certificate: Certificate, at path: String, against key: SigningKey) async throws {
        guard certificate.key == key.verification else {
            throw IdentityError.keyMismatch(key: paths.key, certificate: path)
        }
        let today = now()
        guard certificate.facts.expires > today else {
            throw IdentityError.expired(path: path, at: certificate.facts.expires.readable)
        }
        guard certificate.begins <= today else {
            throw IdentityError.notYetValid(path: path, from: certificate.begins.readable)
        }
        try await OpenSSL.verify(certificate: path, anchors: paths.anchors, revocations: paths.revocations)
    }

    private func key() throws -> SigningKey {
        let text = try IdentityFiles.read(paths.key, secret: true)
        do { return try SigningKey(pem: text) } catch {
            throw IdentityError.badKey(path: paths.key, reason: "it is not a P-256 key in PEM")
        }
    }

    private func certificate() async throws -> Certificate {
        try await Certificate(pem: IdentityFiles.read(paths.certificate), path: paths.certificate)
    }

    /// Returns the stored roster, which no other user can have written and one of its own anchors signed.
    public func storedRoster() throws -> Roster {
        let text = try IdentityFiles.read(paths.roster)
        guard let signed = try? SignedRoster(json: Array(text.utf8)),
            let claimed = try? signed.unverified(),
            let roster = try? signed.verified(by: claimed.anchors.map(\.key))
        else { throw IdentityError.foreignRoster(path: paths.roster) }
        return roster
    }

    static func write(_ signed: SignedRoster, _ roster: Roster, to paths: IdentityPaths) throws {
        try IdentityFiles.write(String(decoding: try signed.json, as: UTF8.self), to: paths.roster)
        try writeCopies(of: roster, to: paths)
    }

    private static func writeCopies(of roster: Roster, to paths: IdentityPaths) throws {
        let copies = [
            (paths.anchors, roster.anchors.map(\.certificate).joined()),
            (paths.revocations, roster.anchors.map(\.revocations).joined()),
        ]
        for (path, text) in copies where (try? IdentityFiles.read(path)) != text {
            try IdentityFiles.write(text, to: path)
        }
    }
}
