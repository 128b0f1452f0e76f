// SPDX-License-Identifier: Apache-2.0
import Crypto
import Fleet
import Foundation

/// The file of a sealed image: a first line, the encapsulated key, and chunks.
///
/// HPKE (RFC 9180) with X25519 and AES-256-GCM. Each chunk is a kind (1 byte), the size of what follows (4 bytes, the
/// highest first) and one message of HPKE's context, which numbers them: one that is changed, left out or moved does not
/// open. Kind and size are authenticated with the chunk, and only the last one says that it is the last. HPKE's `info` is
/// the order, so a file opens for no other order, VM, source or target.
enum SealedFormat {
    static let firstLine = Data("evenkeel sealed image 1\n".utf8)
    static let suite = HPKE.Ciphersuite(kem: .Curve25519_HKDF_SHA256, kdf: .HKDF_SHA256, aead: .AES_GCM_256)
    static let encapsulatedKeyBytes = 32
    static let chunkBytes = 1 << 20
    static let tagBytes = 16
    /// A VM's definition is some ten kilobytes.
    static let largestChunk = chunkBytes + tagBytes

    enum Kind: UInt8 {
        /// The `SavedVM`, with its definition, as JSON: always the first, and once.
        case description = 0
        case memory = 1
        case last = 2
    }

    /// What the encryption is bound to: each part with its size before it, so that no two orders give the same bytes.
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

    /// The name of an order's file; throws if the order's id, which others have chosen, is no name for one.
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

/// What went wrong with a sealed image, in words; no secret is in them.
struct SealingError: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

extension Digest {
    var hexadecimal: String { map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() }
}
