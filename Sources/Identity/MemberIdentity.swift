// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet
public import Ledger

/// The paths of the files in an identity folder.
public struct IdentityPaths: Sendable, Equatable {
    public let folder: String
    public init(folder: String) { self.folder = folder }

    /// The private key: PKCS#8 in PEM, mode 0600.
    public var key: String { "\(folder)/key.pem" }
    public var certificate: String { "\(folder)/certificate.pem" }
    /// All anchors, the newest first.
    public var anchors: String { "\(folder)/ca.pem" }
    /// The revocation lists of the anchors, in the same order.
    public var revocations: String { "\(folder)/crl.pem" }
    /// The newest signed roster that this member adopted: its root of trust.
    public var roster: String { "\(folder)/roster.json" }
    /// The last roster whose changes this member applied completely.
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

    /// Returns the same member with another roster, whether or not that roster still lists it.
    public func under(_ roster: Roster) -> MemberIdentity {
        MemberIdentity(name: name, signingKey: signingKey, roster: roster, certificate: certificate, paths: paths)
    }

    /// The number of whole days until the certificate expires.
    public var daysLeft: Int { Int((facts.expires - .now).inSeconds / 86400) }

    /// This member's certificate in the roster, if it differs from the installed one.
    public var renewal: String? {
        guard let listed = roster[name]?.certificate, listed != certificate.pem else { return nil }
        return listed
    }
}
