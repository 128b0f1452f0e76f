// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Ledger

/// Where the files of an identity folder are.
public struct IdentityPaths: Sendable, Equatable {
    public let folder: String
    public init(folder: String) { self.folder = folder }

    /// PKCS#8 in PEM; 0600.
    public var key: String { "\(folder)/key.pem" }
    public var certificate: String { "\(folder)/certificate.pem" }
    /// All anchors, the newest first.
    public var anchors: String { "\(folder)/ca.pem" }
    /// The anchors' revocation lists, in their order.
    public var revocations: String { "\(folder)/crl.pem" }
    /// The newest signed roster that this member took up: its root of trust.
    public var roster: String { "\(folder)/roster.json" }
    /// What the roster said whose demands this member last carried out to the end.
    public var carriedOut: String { "\(folder)/roster.carried-out.json" }
}

/// A member's identity, loaded and checked.
public struct MemberIdentity: Sendable {
    public let name: LedgerWriter
    public let signingKey: SigningKey
    public let roster: Roster
    public let certificate: Certificate
    public let paths: IdentityPaths

    public var facts: CertificateFacts { certificate.facts }
    public var certificatePath: String { paths.certificate }
    public var keyPath: String { paths.key }
    public var anchorsPath: String { paths.anchors }
    public var revocationsPath: String { paths.revocations }

    /// The same member under another roster, whether or not that one still vouches for it.
    public func under(_ roster: Roster) -> MemberIdentity {
        MemberIdentity(name: name, signingKey: signingKey, roster: roster, certificate: certificate, paths: paths)
    }

    /// Whole days until the certificate expires.
    public var daysLeft: Int { Int((facts.expires - .byTheWallClock).inSeconds / 86400) }

    /// The certificate that the roster has for this member, where it is another than the installed one.
    public var renewal: String? {
        guard let listed = roster[name]?.certificate, listed != certificate.pem else { return nil }
        return listed
    }
}
