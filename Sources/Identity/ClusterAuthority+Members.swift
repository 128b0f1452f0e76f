// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

extension ClusterAuthority {
    /// Creates a member's key and certificate, writes its identity folder, and adds the member to the roster.
    ///
    /// Throws if the member exists, unless `replacing`: then it receives new keys, all its certificates are revoked, and
    /// everything that its old keys signed is rejected. A member that was removed returns with new keys.
    ///
    /// An interrupted call can be repeated: if its roster was written, the same folder is completed.
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
        // The folder is created first, because writing the roster invalidates the old keys.
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
        // Do not start a list without the earlier certificates: readers would take it for complete.
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

    /// Returns whether the member is missing, or a call of `add` for it was interrupted.
    public func lacks(_ name: LedgerWriter) throws -> Bool { try roster[name] == nil || unfinishedKey(of: name) != nil }

    /// Returns the key of a member on the roster whose identity folder may be incomplete.
    private func unfinishedKey(of name: LedgerWriter) throws -> SigningKey? {
        let draft = draftPath(name)
        guard IdentityFiles.exists(draft) else { return nil }
        // A key that never reached the roster is replaced by the next call.
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
        // A new host has no connections from older rosters.
        try IdentityFolder(target).recordCarriedOut(roster)
        IdentityFiles.remove(draftPath(name))
    }

    /// Returns the path of the key of a member that is being added; removed once the member's folder has the key.
    private func draftPath(_ name: LedgerWriter) -> String {
        "\(folder)/members/\(Enrollment.fileName(of: name)).key.new"
    }

    /// Removes a member: revokes its certificates and rejects what it writes after `ends`.
    ///
    /// Does nothing if the member was already removed.
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

    /// Issues a new certificate for the member's existing key.
    func issue(
        for name: LedgerWriter,
        lifetime: Duration,
        by anchor: Roster.Anchor
    ) async throws -> Certificate {
        let at = now()
        // No certificate outlives its authority.
        let end = min(at + lifetime, anchor.expires)
        let subject = Enrollment.subject(of: name)
        let pem = try await authority(anchor.key).issue(requestPath(name), for: subject, from: at, until: end)
        return try await Certificate(pem: pem, path: "certificate of \(name)")
    }

    /// Returns the roster entry of a certificate issued now.
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

    /// Records that certificates of a member are invalid from now on.
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
