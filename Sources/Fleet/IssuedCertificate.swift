// SPDX-License-Identifier: Apache-2.0

/// A certificate that the cluster issued to a member, as recorded in the roster.
public struct IssuedCertificate: Codable, Sendable, Equatable {
    /// SHA-256 of the certificate, in hexadecimal.
    public var fingerprint: String
    /// `VerificationKey.id` of the authority that issued it.
    public var authority: String
    public var issuedAt: Instant
    public var expires: Instant
    /// When it was revoked or its authority lost its trust; `nil`: neither.
    public var endedAt: Instant?
    public init(
        fingerprint: String,
        authority: String,
        issuedAt: Instant,
        expires: Instant,
        endedAt: Instant? = nil
    ) {
        self.fingerprint = fingerprint
        self.authority = authority
        self.issuedAt = issuedAt
        self.expires = expires
        self.endedAt = endedAt
    }
}
