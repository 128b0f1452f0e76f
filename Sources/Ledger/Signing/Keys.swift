// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import FoundationEssentials

/// The public key of a certificate, for ECDSA signatures on P-256 with SHA-256.
public struct VerificationKey: Codable, Sendable, Hashable {
    /// The key's id: the first 16 hexadecimal digits of the SHA-256 of its bytes.
    public var id: String
    /// The key in ANSI X9.63 format, base 64.
    public var x963: String

    /// Reads a public key from PEM (`openssl x509 -pubkey`); throws the errors of swift-crypto.
    public init(pem: String) throws { self.init(try P256.Signing.PublicKey(pemRepresentation: pem)) }

    init(_ key: P256.Signing.PublicKey) {
        x963 = key.x963Representation.base64EncodedString()
        let digest = SHA256.hash(data: key.x963Representation)
        id = digest.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Returns whether this key made the signature (64 bytes, r and s) for the bytes.
    public func accepts(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        PreparedKey(self)?.accepts(signature, of: bytes) ?? false
    }
}

/// A public key, checked to be a point on the curve, for many verifications.
struct PreparedKey: Sendable {
    private let key: P256.Signing.PublicKey

    /// Returns `nil` if the bytes are not a key.
    init?(_ key: VerificationKey) {
        guard let data = Data(base64Encoded: key.x963), let key = try? P256.Signing.PublicKey(x963Representation: data)
        else { return nil }
        self.key = key
    }

    func accepts(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
        return key.isValidSignature(signature, for: bytes)
    }
}

/// A private key for ECDSA on P-256.
public struct SigningKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let key: P256.Signing.PrivateKey
    public let verification: VerificationKey

    /// Reads a key from PEM, PKCS#8 or SEC1; throws the errors of swift-crypto.
    public init(pem: String) throws { self.init(try P256.Signing.PrivateKey(pemRepresentation: pem)) }
    /// Creates a new key.
    public init() { self.init(P256.Signing.PrivateKey()) }

    private init(_ key: P256.Signing.PrivateKey) {
        self.key = key
        verification = VerificationKey(key.publicKey)
    }

    public func signature(of bytes: [UInt8]) throws -> [UInt8] {
        Array(try key.signature(for: bytes).rawRepresentation)
    }

    /// The key in PKCS#8 PEM: secret, only for a file of mode 0600.
    public var pem: String { key.pemRepresentation }
    /// The id only, never the key.
    public var description: String { "signing key \(verification.id)" }
    /// Empty, so that a dump does not show the key.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
