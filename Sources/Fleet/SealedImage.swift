// SPDX-License-Identifier: Apache-2.0

/// The encrypted image of a saved VM on the shared storage, as signed by its source.
///
/// It is encrypted for the target with HPKE (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM.
public struct SealedImage: Codable, Sendable, Equatable {
    /// Size of the file.
    public var bytes: UInt64
    /// SHA-256 of the file, in hexadecimal.
    public var digest: String
    /// Size of the image before encryption.
    public var imageBytes: UInt64
    /// When the VM was asked to stop; it did not execute afterwards.
    public var stoppedAt: Instant
    public init(bytes: UInt64, digest: String, imageBytes: UInt64, stoppedAt: Instant) {
        self.bytes = bytes
        self.digest = digest
        self.imageBytes = imageBytes
        self.stoppedAt = stoppedAt
    }
}
