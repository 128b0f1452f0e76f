// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import FoundationEssentials

/// A public key that verifies ECDSA signatures on P-256 with SHA-256: that of a certificate.
public struct VerificationKey: Codable, Sendable, Hashable {
    /// Names the key: the first 16 hexadecimal digits of the SHA-256 of its bytes.
    public var id: String
    /// ANSI X9.63, base 64.
    public var x963: String

    /// The public key in a PEM text (`openssl x509 -pubkey`); throws what swift-crypto throws.
    public init(pem: String) throws { self.init(try P256.Signing.PublicKey(pemRepresentation: pem)) }

    init(_ key: P256.Signing.PublicKey) {
        x963 = key.x963Representation.base64EncodedString()
        let digest = SHA256.hash(data: key.x963Representation)
        id = digest.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Whether the signature (64 bytes, r and s) is this key's under the bytes.
    public func accepts(_ signature: [UInt8], of bytes: [UInt8]) -> Bool {
        PreparedKey(self)?.accepts(signature, of: bytes) ?? false
    }
}

/// A public key whose point has been checked to lie on the curve, for many verifications.
struct PreparedKey: Sendable {
    private let key: P256.Signing.PublicKey

    /// `nil` where the bytes are no key.
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

/// A private key of ECDSA on P-256.
public struct SigningKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let key: P256.Signing.PrivateKey
    public let verification: VerificationKey

    /// The key in a PEM text, PKCS#8 or SEC1; throws what swift-crypto throws.
    public init(pem: String) throws { self.init(try P256.Signing.PrivateKey(pemRepresentation: pem)) }
    /// A new one.
    public init() { self.init(P256.Signing.PrivateKey()) }

    private init(_ key: P256.Signing.PrivateKey) {
        self.key = key
        verification = VerificationKey(key.publicKey)
    }

    public func signature(of bytes: [UInt8]) throws -> [UInt8] {
        Array(try key.signature(for: bytes).rawRepresentation)
    }

    /// PKCS#8: secret, for the owner's 0600 file alone.
    public var pem: String { key.pemRepresentation }
    /// Never the key.
    public var description: String { "signing key \(verification.id)" }
    /// Never the key, in a dump either.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}
