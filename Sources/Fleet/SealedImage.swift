// SPDX-License-Identifier: Apache-2.0

/// The encrypted image of a saved VM on the shared storage, as its source signs for it.
///
/// It is encrypted for the target with HPKE (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM.
public struct SealedImage: Codable, Sendable, Equatable {
    /// The file's size.
    public var bytes: UInt64
    /// SHA-256 of the file, in hexadecimal.
    public var digest: String
    /// Size of the image that was encrypted.
    public var imageBytes: UInt64
    /// When the VM was asked to stop: from then on it did not execute.
    public var stoppedAt: Instant
    public init(bytes: UInt64, digest: String, imageBytes: UInt64, stoppedAt: Instant) {
        self.bytes = bytes
        self.digest = digest
        self.imageBytes = imageBytes
        self.stoppedAt = stoppedAt
    }
}
