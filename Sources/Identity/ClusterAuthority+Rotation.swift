// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

/// The step that one call of a rotation performed.
public enum RotationStep: String, Sendable, Codable {
    /// Every member received a new certificate of the same authority.
    case renewed
    /// A new authority is on the roster in addition to the old one; it issues nothing yet.
    case introduced
    /// Every member received a certificate of the new authority; both are trusted.
    case issued
    /// The old authority is no longer trusted.
    case retired
}

extension ClusterAuthority {
    /// Time for each step to reach every host.
    public static let settling: Duration = .seconds(15 * 60)

    /// Issues new certificates for the existing keys of the given members; of all members if none are given.
    public func renew(_ names: [LedgerWriter] = [], lifetime: Duration = memberLifetime) async throws {
        for name in names where roster[name]?.revocation != nil || roster[name] == nil { throw unknown(name) }
        try save(try await renewed(names, in: roster, lifetime: lifetime, by: issuingAnchor()))
    }

    /// Performs the next step of replacing the authority: introduce the new one, issue certificates, retire the old
    /// one.
    ///
    /// Each step writes one signed roster, so an interrupted call changes everything or nothing, and the roster
    /// determines the next step. Any two members share an anchor if each has adopted the roster of the previous step.
    /// `settling` gives them the time for that; `withoutWaiting` skips it.
    public func rotateAuthority(
        withoutWaiting: Bool = false,
        lifetime: Duration = memberLifetime
    ) async throws
        -> RotationStep
    {
        guard roster.anchors.count > 1 else {
            let at = now()
            let authority = try await Authority.create(
                in: "\(folder)/anchors",
                cluster: roster.cluster,
                from: at,
                until: at + Self.anchorLifetime
            )
            var next = roster
            next.anchors.insert(try await Self.anchor(of: authority, at: at), at: 0)
            try save(next)
            return .introduced
        }
        let left = Self.settling - (now() - roster.issuedAt)
        guard withoutWaiting || left <= .zero else {
            throw IdentityError.tooEarly(secondsLeft: Int(left.inSeconds.rounded(.up)))
        }
        if try await isIntroducing() {
            try save(try await renewed([], in: roster, lifetime: lifetime, by: roster.anchors[0]))
            return .issued
        }
        var next = roster
        next.anchors.removeLast(next.anchors.count - 1)
        let trusted = next.anchors[0].key.id
        for index in next.members.indices {
            endCertificates(of: &next.members[index]) { $0.authority != trusted }
        }
        try save(next)
        return .retired
    }

    /// Returns whether a new authority has issued nothing yet; all members receive its certificates in one step.
    func isIntroducing() async throws -> Bool {
        guard roster.anchors.count > 1, let member = roster.members.first(where: { $0.revocation == nil }) else {
            return false
        }
        let issuer = try await Certificate(pem: member.certificate, path: "certificate of \(member.name)").facts.issuer
        let newest = try await Certificate(pem: roster.anchors[0].certificate, path: "newest anchor").facts.subject
        return issuer != newest
    }

    private func renewed(
        _ names: [LedgerWriter],
        in roster: Roster,
        lifetime: Duration,
        by anchor: Roster.Anchor
    ) async throws -> Roster {
        var next = roster
        for index in next.members.indices where next.members[index].revocation == nil {
            let name = next.members[index].name
            guard names.isEmpty || names.contains(name) else { continue }
            let certificate = try await issue(for: name, lifetime: lifetime, by: anchor)
            next.members[index].certificate = certificate.pem
            next.members[index].expires = certificate.facts.expires
            next.members[index].issued?.append(remembered(certificate, by: anchor))
        }
        return next
    }
}
