// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials

/// A copy of a definition in a file: its exact bytes, and its host's signature.
struct SignedDefinition: Codable, Equatable {
    /// The copy's JSON, as it was signed.
    var copy: String
    /// `VerificationKey.id` of the signer; `nil` in an unsigned ledger, like the signature.
    var key: String?
    /// 64 bytes, base 64.
    var signature: String?

    /// Prefix of the signed bytes, so that no other signature of a host can pass for that of a copy.
    static let context = "evenkeel definition 1\n"

    init(_ copy: DefinitionCopy, signedBy key: SigningKey?) throws {
        self.copy = String(decoding: try Self.encoder.encode(copy), as: UTF8.self)
        guard let key else { return }
        self.key = key.verification.id
        signature = Data(try key.signature(of: signedBytes)).base64EncodedString()
    }

    init(json: [UInt8]) throws(DefinitionRefusal) {
        self = try Self.decoded(Self.self, from: Data(json))
    }

    var json: [UInt8] { get throws { Array(try Self.encoder.encode(self)) + [LineCodec.newline] } }

    /// Returns the copy if the host signed it; without `keys`, whoever wrote it.
    func content(of host: HostName, signedBy keys: [VerificationKey]?) throws(DefinitionRefusal) -> DefinitionCopy {
        if let keys {
            guard let name = key, let signature else { throw .unsigned }
            guard let key = keys.first(where: { $0.id == name }) else { throw .wrongSigner(key: name) }
            guard let raw = Data(base64Encoded: signature), key.accepts(Array(raw), of: signedBytes) else {
                throw .altered
            }
        }
        let content = try Self.decoded(DefinitionCopy.self, from: Data(copy.utf8))
        // XML has no control characters: on a terminal they could do anything.
        guard content.definition.xml.unicodeScalars.allSatisfy(Self.isPrintable) else {
            throw .malformed("it has characters that XML does not have")
        }
        guard content.host == host else { throw .wrongPlace(content.definition.id, content.host) }
        return content
    }

    private var signedBytes: [UInt8] { Array((Self.context + copy).utf8) }

    private static var encoder: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    private static func decoded<Value: Decodable>(
        _ type: Value.Type,
        from json: Data
    ) throws(DefinitionRefusal) -> Value {
        do { return try JSONDecoder().decode(type, from: json) } catch {
            throw .malformed("it cannot be decoded")
        }
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0a, 0x0d: true
        case 0..<0x20, 0x7f..<0xa0: false
        default: true
        }
    }
}
