// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import FoundationEssentials

/// A signed line, parsed except for its body.
///
///     {"v":2,"kind":"load","writer":"host:h1","at":1753182000123,"place":"1:2048","ledger":"ID","key":"KEYID",
///      "body":{…},"signature":"BASE64"}\n
///
/// The signature covers the line's own bytes up to the signature field, with the closing brace appended, so verifying
/// needs no re-encoding. The fields come in this order with nothing between them, each once.
struct SignedLine {
    var kind: String
    var writer: LedgerWriter
    var at: Instant
    /// The position for which its writer signed it.
    var place: Cursor
    /// The id of the ledger for which it was written.
    var ledger: String
    /// `VerificationKey.id`.
    var key: String
    var body: ArraySlice<UInt8>
    var signedBytes: [UInt8]
    var signature: [UInt8]

    /// Prefix of the signed bytes, so that no other signature of a host can pass for a record's.
    private static let context = Array("evenkeel record 2\n".utf8)
    private static let opening = Array(#"{"v":2,"#.utf8)
    private static let tailStart = Array(#","signature":""#.utf8)
    private static let tailEnd = Array(#""}"#.utf8)
    /// 64 bytes in base 64.
    private static let signatureBytes = 88
    /// The length of `,"signature":"…"}` without the brace that every line has.
    static let tailBytes = tailStart.count + signatureBytes + tailEnd.count - 1

    static func isOne(_ bytes: [UInt8]) -> Bool { bytes.starts(with: opening) }

    static func fields(_ signer: LineSigner, at place: Cursor) -> [UInt8] {
        Array(#","place":"\#(place)","ledger":"\#(signer.ledger)","key":"\#(signer.key.verification.id)""#.utf8)
    }

    /// Returns the bytes to sign for a line that begins with `start` and lacks only its closing brace.
    static func signedBytes(_ start: ArraySlice<UInt8>) -> [UInt8] { context + start + [UInt8(ascii: "}")] }

    static func tail(_ signature: [UInt8]) -> [UInt8] {
        tailStart + Array(Data(signature).base64EncodedString().utf8) + tailEnd
    }

    /// Parses a line; throws `.unsigned` if only the signature is missing.
    init(_ bytes: [UInt8]) throws(LineCodec.Unreadable) {
        let end = bytes.count - Self.tailStart.count - Self.signatureBytes - Self.tailEnd.count
        guard end > 0, bytes[end...].starts(with: Self.tailStart), bytes.suffix(Self.tailEnd.count) == Self.tailEnd[...]
        else { throw LineCodec.Unreadable(reason: .refused(.unsigned)) }
        let text = bytes[(end + Self.tailStart.count)...].prefix(Self.signatureBytes)
        // Only the canonical encoding is valid: otherwise bits without meaning could be altered.
        guard let raw = Data(base64Encoded: Data(text)), raw.base64EncodedString().utf8.elementsEqual(text) else {
            throw Self.unreadable("its signature is not base 64")
        }
        signature = Array(raw)
        signedBytes = Self.signedBytes(bytes[..<end])
        var scanner = LineScanner(bytes[..<end])
        guard scanner.skip(#"{"v":2,"kind":""#), let kind = scanner.word(),
            scanner.skip(#","writer":"#), let name = scanner.string(), let writer = LedgerWriter(name),
            scanner.skip(#","at":"#), let at = scanner.instant(),
            scanner.skip(#","place":""#), let place = scanner.word().flatMap({ Cursor($0) }),
            scanner.skip(#","ledger":""#), let ledger = scanner.word(),
            scanner.skip(#","key":""#), let key = scanner.word(),
            scanner.skip(#","body":"#)
        else { throw Self.unreadable("its fields are not those of a signed record, in their order") }
        self.kind = kind
        self.writer = writer
        self.at = at
        self.place = place
        self.ledger = ledger
        self.key = key
        body = scanner.rest
    }

    private static func unreadable(_ reason: String) -> LineCodec.Unreadable {
        LineCodec.Unreadable(reason: .unreadable(reason))
    }
}
