// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

extension ClusterAuthority {
    /// Makes a member's key and certificate, writes its identity folder, and puts the member onto the roster.
    ///
    /// A member that is there is refused, unless `replacing`: then it gets new keys, all its certificates are revoked,
    /// and nothing that its old keys signed counts any more. One that was removed before comes back with new keys.
    ///
    /// A call that was cut short is made again: if its roster was written, the same folder is completed.
    public func add(
        _ enrollment: Enrollment,
        hardware: Roster.Hardware? = nil,
        replacing: Bool = false,
        lifetime: Duration = memberLifetime,
        folder target: String
    ) async throws {
        let before = roster[enrollment.name]
        if let key = try unfinishedKey(of: enrollment.name) {
            try finish(enrollment.name, key, in: target)
            return
        }
        if let before, before.revocation == nil, !replacing { throw IdentityError.alreadyMember(enrollment.name) }
        try await requireFree(enrollment)
        try requireEmpty(target)
        var next = roster
        if before != nil { try await revokeCertificates(of: enrollment.name, compromised: replacing, in: &next) }
        let key = SigningKey()
        // That it can be made is seen first: with the roster the old keys end.
        try IdentityFiles.makeFolder(target, mode: 0o700)
        let draft = draftPath(enrollment.name)
        try IdentityFiles.write(key.pem, to: draft, mode: 0o600)
        let anchor = try await issuingAnchor()
        try await enrollment.request(
            key: draft,
            to: requestPath(enrollment.name),
            configuration: authority(anchor.key).configurationPath
        )
        let certificate = try await issue(for: enrollment.name, lifetime: lifetime, by: anchor)
        // Of a member whose earlier certificates are not remembered no list is begun: it would be taken for whole.
        let earlier: [IssuedCertificate]? = before == nil ? [] : next[enrollment.name]?.issued
        next.members.removeAll { $0.name == enrollment.name }
        next.members.append(
            Roster.Member(
                name: enrollment.name,
                certificate: certificate.pem,
                expires: certificate.facts.expires,
                keys: [key.verification],
                hardware: hardware ?? before?.hardware,
                issued: earlier.map { $0 + [remembered(certificate, by: anchor)] }
            )
        )
        try save(next)
        try finish(enrollment.name, key, in: target)
    }

    /// Whether the member is missing, or a call of `add` for it was cut short.
    public func lacks(_ name: LedgerWriter) throws -> Bool { try roster[name] == nil || unfinishedKey(of: name) != nil }

    /// The key of a member that is on the roster and whose identity folder may not be complete.
    private func unfinishedKey(of name: LedgerWriter) throws -> SigningKey? {
        let draft = draftPath(name)
        guard IdentityFiles.exists(draft) else { return nil }
        // One that never came onto the roster is replaced by the next.
        guard let key = try? SigningKey(pem: IdentityFiles.read(draft, secret: true)) else { return nil }
        guard let member = roster[name], member.revocation == nil, member.keys.contains(key.verification) else {
            return nil
        }
        return key
    }

    private func finish(_ name: LedgerWriter, _ key: SigningKey, in target: String) throws {
        guard let member = roster[name] else { throw unknown(name) }
        let paths = IdentityPaths(folder: target)
        if IdentityFiles.exists(paths.key), try IdentityFiles.read(paths.key, secret: true) != key.pem {
            throw IdentityError.exists(path: paths.key)
        }
        try IdentityFiles.makeFolder(target, mode: 0o700)
        try IdentityFiles.write(key.pem, to: paths.key, mode: 0o600)
        try IdentityFiles.write(member.certificate, to: paths.certificate)
        try IdentityFolder.write(signed, roster, to: paths)
        // A host that is new has opened nothing yet that older rosters allowed.
        try IdentityFolder(target).noteCarriedOut(roster)
        IdentityFiles.remove(draftPath(name))
    }

    /// The key of a member that is being added; gone once its own folder has it.
    private func draftPath(_ name: LedgerWriter) -> String {
        "\(folder)/members/\(Enrollment.fileName(of: name)).key.new"
    }

    /// Takes a member off: its certificates are revoked, and what it writes from `ends` on counts no more.
    ///
    /// Does nothing to one that was removed before.
    public func remove(_ name: LedgerWriter, reason: String, ends: [String: Cursor]) async throws {
        guard let index = roster.members.firstIndex(where: { $0.name == name }) else { throw unknown(name) }
        guard roster.members[index].revocation == nil else { return }
        var next = roster
        try await revokeCertificates(of: name, compromised: false, in: &next)
        next.members[index].revocation = Roster.Revocation(at: now(), reason: reason, ends: ends)
        try save(next)
    }

    func unknown(_ name: LedgerWriter) -> IdentityError {
        .unknownMember(name, known: roster.members.map(\.name.description).sorted())
    }

    /// A new certificate for the key that the member has.
    func issue(
        for name: LedgerWriter,
        lifetime: Duration,
        by anchor: Roster.Anchor
    ) async throws -> Certificate {
        let at = now()
        // None outlives its authority.
        let end = min(at + lifetime, anchor.expires)
        let subject = Enrollment.subject(of: name)
        let pem = try await authority(anchor.key).issue(requestPath(name), for: subject, from: at, until: end)
        return try await Certificate(pem: pem, path: "certificate of \(name)")
    }

    /// The entry of a certificate that is issued now.
    func remembered(_ certificate: Certificate, by anchor: Roster.Anchor) -> IssuedCertificate {
        IssuedCertificate(
            fingerprint: certificate.facts.fingerprint,
            authority: anchor.key.id,
            issuedAt: now(),
            expires: certificate.facts.expires
        )
    }

    func requestPath(_ name: LedgerWriter) -> String { "\(folder)/members/\(Enrollment.fileName(of: name)).csr" }

    private func revokeCertificates(of name: LedgerWriter, compromised: Bool, in roster: inout Roster) async throws {
        for index in roster.anchors.indices {
            let anchor = authority(roster.anchors[index].key)
            try await anchor.revokeAll(of: Enrollment.subject(of: name), compromised: compromised)
            roster.anchors[index].revocations = try await anchor.revocationList(
                at: now(),
                until: roster.anchors[index].expires
            )
        }
        guard let member = roster.members.firstIndex(where: { $0.name == name }) else { return }
        endCertificates(of: &roster.members[member]) { _ in true }
    }

    /// Notes that certificates of a member count no more from now on.
    func endCertificates(of member: inout Roster.Member, where isEnded: (IssuedCertificate) -> Bool) {
        let at = now()
        member.issued = member.issued?.map { certificate in
            var certificate = certificate
            if certificate.endedAt == nil, isEnded(certificate) { certificate.endedAt = at }
            return certificate
        }
    }

    private func requireEmpty(_ target: String) throws(IdentityError) {
        let paths = IdentityPaths(folder: target)
        for path in [paths.key, paths.certificate, paths.roster] where IdentityFiles.exists(path) {
            throw .exists(path: path)
        }
    }
}
