// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials

/// A roster in a file: its exact bytes, and the signatures of certificate authorities.
public struct SignedRoster: Codable, Sendable, Equatable {
    /// The roster's JSON, as it was signed.
    public var roster: String
    public var signatures: [Signature]

    public struct Signature: Codable, Sendable, Equatable {
        /// `VerificationKey.id` of the authority.
        public var key: String
        /// 64 bytes, base 64.
        public var signature: String
    }

    /// The name of the file in the ledger's folder.
    public static let fileName = "roster.json"
    /// Prefix of the signed bytes, so that no other signature of an authority can pass for a roster's.
    static let context = "evenkeel roster 1\n"

    public init(_ roster: Roster, signedBy authorities: [SigningKey]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self.roster = String(decoding: try encoder.encode(roster), as: UTF8.self)
        let bytes = Array((Self.context + self.roster).utf8)
        signatures = try authorities.map {
            Signature(
                key: $0.verification.id,
                signature: Data(try $0.signature(of: bytes)).base64EncodedString()
            )
        }
    }

    public init(json: [UInt8]) throws { self = try JSONDecoder().decode(Self.self, from: Data(json)) }

    public var json: [UInt8] {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return Array(try encoder.encode(self)) + [LineCodec.newline]
        }
    }

    /// Returns the roster without verification, for a file that only its reader can have written.
    public func unverified() throws -> Roster { try JSONDecoder().decode(Roster.self, from: Data(roster.utf8)) }

    /// Returns the roster if one of the keys signed it; `nil` if none did.
    public func verified(by keys: [VerificationKey]) throws -> Roster? {
        let bytes = Array((Self.context + roster).utf8)
        let isSigned = signatures.contains { signature in
            guard let key = keys.first(where: { $0.id == signature.key }),
                let raw = Data(base64Encoded: signature.signature)
            else { return false }
            return key.accepts(Array(raw), of: bytes)
        }
        return isSigned ? try JSONDecoder().decode(Roster.self, from: Data(roster.utf8)) : nil
    }
}
