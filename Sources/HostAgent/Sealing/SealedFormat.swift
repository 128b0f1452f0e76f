// SPDX-License-Identifier: Apache-2.0
import Crypto
import Fleet
import Foundation

/// The format of a sealed image: a first line, the encapsulated key, and chunks.
///
/// Uses HPKE (RFC 9180) with X25519 and AES-256-GCM. Each chunk consists of a kind (1 byte), the size of the rest (4
/// bytes, big-endian) and one message of HPKE's context. The context numbers the messages: a changed, omitted or moved
/// chunk does not open. Kind and size are authenticated with the chunk, and only the last chunk has the kind `last`.
/// HPKE's `info` is the order, so a file opens for no other order, VM, source or target.
enum SealedFormat {
    static let firstLine = Data("evenkeel sealed image 1\n".utf8)
    static let suite = HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_256)
    static let encapsulatedKeyBytes = 32
    static let chunkBytes = 1 << 20
    static let tagBytes = 16
    /// Maximum size of an encrypted chunk in bytes; a VM's definition has about 10 kB.
    static let largestChunk = chunkBytes + tagBytes

    enum Kind: UInt8 {
        /// The `SavedVM` with its definition, as JSON: always the first chunk, and only once.
        case description = 0
        case memory = 1
        case last = 2
    }

    /// Returns the value to which the encryption is bound.
    ///
    /// Each part is preceded by its size, so that no two orders give the same bytes.
    static func info(_ order: MigrationOrder) -> Data {
        var info = firstLine
        for part in [order.id.rawValue, order.vm.rawValue, order.source.rawValue, order.target.rawValue] {
            let bytes = Data(part.utf8)
            info += number(UInt32(bytes.count)) + bytes
        }
        return info
    }

    static func header(_ kind: Kind, bytes: Int) -> Data { Data([kind.rawValue]) + number(UInt32(bytes)) }

    private static func number(_ value: UInt32) -> Data { withUnsafeBytes(of: value.bigEndian) { Data($0) } }

    /// Returns the name of an order's file; throws if the order's id, which others chose, cannot be one.
    static func fileName(_ order: OrderID) throws -> String {
        let name = order.rawValue
        let isPlain = name.utf8.allSatisfy { byte in
            let isDigit = (0x30...0x39).contains(byte)
            return isDigit || (0x41...0x5a).contains(byte & 0xdf) || [0x2d, 0x2e, 0x5f].contains(byte)
        }
        guard isPlain, !name.isEmpty, !name.hasPrefix("."), name.utf8.count <= 128 else {
            throw SealingError("the order's id cannot name a file: only letters, digits, '.', '-' and '_' can")
        }
        return name
    }
}

/// A failure that concerns a sealed image; its description contains no secret.
struct SealingError: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

extension Digest {
    var hexadecimal: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}
