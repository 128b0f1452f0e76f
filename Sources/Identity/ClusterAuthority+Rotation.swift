// SPDX-License-Identifier: Apache-2.0
internal import Fleet
public import Ledger

/// What one call of a rotation did.
public enum RotationStep: String, Sendable, Codable {
    /// Every member has a new certificate of the same authority.
    case renewed
    /// A new authority is on the roster beside the old one; it issues nothing yet.
    case introduced
    /// Every member has a certificate of the new authority; both are trusted.
    case issued
    /// The old authority is trusted no more.
    case retired
}

extension ClusterAuthority {
    /// How long each step is given to reach every host.
    public static let settling: Duration = .seconds(15 * 60)

    /// Gives new certificates for the keys they have to all members, or to those named.
    public func renew(_ names: [LedgerWriter] = [], lifetime: Duration = memberLifetime) async throws {
        for name in names where roster[name]?.revocation != nil || roster[name] == nil { throw unknown(name) }
        try save(try await renewed(names, in: roster, lifetime: lifetime, by: issuingAnchor()))
    }

    /// Takes the next step of replacing the authority: introduce the new one, issue by it, retire the old one.
    ///
    /// Each step is one signed roster, so that a call that was cut short changed nothing or all of it, and the roster
    /// itself says which step is next. No two members are ever without a common anchor, as long as each has taken up
    /// the roster of the step before; `settling` gives them the time, which `now` waives.
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

    /// Whether there is a new authority that has issued nothing yet: all members get its certificates in one step.
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
