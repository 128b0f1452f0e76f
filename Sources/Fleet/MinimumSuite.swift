// SPDX-License-Identifier: Apache-2.0

/// The weakest encryption that a fleet accepts on a channel; what is negotiated below it is refused.
///
/// All are authenticated (AEAD), with an ephemeral key exchange: X25519, or for TLS any ephemeral elliptic curve.
public enum MinimumSuite: String, Codable, Sendable, CaseIterable {
    case aes256 = "aes256gcm"
    case aes128 = "aes128gcm"
}
