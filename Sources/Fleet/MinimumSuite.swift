// SPDX-License-Identifier: Apache-2.0

/// The weakest encryption that a fleet accepts on a channel; anything weaker is refused.
///
/// All are authenticated (AEAD), with an ephemeral key exchange: X25519, or for TLS any ephemeral elliptic curve.
public enum MinimumSuite: String, Codable, Sendable, CaseIterable {
    case aes256 = "aes256gcm"
    case aes128 = "aes128gcm"

    /// Accepted key sizes of AES-GCM in bits, the strongest first.
    public var keySizes: [Int] { self == .aes256 ? [256] : [256, 128] }

    /// Returns whether an IKE or ESP suite is strong enough (AES-GCM and X25519), in the form of `SecurityAssociation`.
    public func acceptsIPsec(_ suite: String) -> Bool {
        let parts = suite.split(whereSeparator: { $0 == "/" || $0 == " " }).map(String.init)
        return keySizes.contains { parts.contains("AES_GCM_16-\($0)") } && parts.contains("CURVE_25519")
    }

    /// Returns whether a TLS session is strong enough: 1.3, or 1.2 with an ephemeral exchange; a cipher of the size.
    public func acceptsTLS(_ session: SessionFacts) -> Bool {
        let suite = String(session.suite.map { $0 == "-" ? "_" : $0 })
        let isEphemeral = session.version == "TLSv1.3" || (session.version == "TLSv1.2" && suite.hasPrefix("ECDHE"))
        let ciphers = keySizes.flatMap { ["AES_\($0)_GCM", "AES\($0)_GCM"] } + ["CHACHA20"]
        return isEphemeral && ciphers.contains(where: suite.contains)
    }

    /// Returns whether an ssh session is strong enough: an authenticated cipher of the size.
    public func acceptsSSH(_ session: SessionFacts) -> Bool {
        let ciphers = keySizes.map { "aes\($0)-gcm@openssh.com" } + ["chacha20-poly1305@openssh.com"]
        return session.version == "SSH-2.0" && ciphers.contains(session.suite)
    }
}
