// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

extension ClusterAuthority {
    /// Makes a member's key and certificate, writes its identity folder, and puts the member onto the roster.
    ///
    /// A member that is there is refused, unless `replacing`: then it gets new keys, all its certificates are revoked,
    /// and nothing that its old keys signed counts any more. One that was removed before comes back with new keys.
    public func add(
        _ enrollment: Enrollment,
        hardware: Roster.Hardware? = nil,
        replacing: Bool = false,
        lifetime: Duration = memberLifetime,
        folder target: String
    ) async throws {
        let before = roster[enrollment.name]
        if let before, before.revocation == nil, !replacing { throw IdentityError.alreadyMember(enrollment.name) }
        try requireEmpty(target)
        var next = roster
        if before != nil { try await revokeCertificates(of: enrollment.name, compromised: replacing, in: &next) }
        let key = SigningKey()
        // The folder first: with the roster the old keys end.
        try IdentityFiles.makeFolder(target, mode: 0o700)
        let paths = IdentityPaths(folder: target)
        try IdentityFiles.write(key.pem, to: paths.key, mode: 0o600)
        let certificate: Certificate
        do {
            let anchor = try await issuingAnchor()
            try await enrollment.request(
                key: paths.key,
                to: requestPath(enrollment.name),
                configuration: authority(anchor.key).configurationPath
            )
            certificate = try await issue(for: enrollment.name, lifetime: lifetime, by: anchor)
        } catch {
            // So that the same call can be made again.
            IdentityFiles.remove(paths.key)
            throw error
        }
        next.members.removeAll { $0.name == enrollment.name }
        next.members.append(
            Roster.Member(
                name: enrollment.name,
                certificate: certificate.pem,
                expires: certificate.facts.expires,
                keys: [key.verification],
                hardware: hardware ?? before?.hardware
            )
        )
        try IdentityFiles.write(certificate.pem, to: paths.certificate)
        try save(next)
        try IdentityFolder.write(signed, roster, to: paths)
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
    }

    private func requireEmpty(_ target: String) throws(IdentityError) {
        let paths = IdentityPaths(folder: target)
        for path in [paths.key, paths.certificate, paths.roster] where IdentityFiles.exists(path) {
            throw .exists(path: path)
        }
    }
}
