// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials

/// The ledger and the key for signing one writer's lines.
struct LineSigner: Sendable {
    /// The ledger's id.
    var ledger: String
    var key: SigningKey
}

/// The line of a record without its position, which is known only under the stream's lock.
struct LineDraft: Sendable {
    /// The fields before the position.
    private let head: [UInt8]
    /// The encoded entry.
    let body: [UInt8]
    private let change: Change?
    private let signer: LineSigner?

    /// The maximum length of the line in bytes, newline included: that with `body`, at the position with the longest text.
    let maximumBytes: Int

    /// A shorter body, for positions after its basis in the same segment.
    struct Change: Sendable {
        var body: [UInt8]
        var basis: Cursor
    }

    init(head: [UInt8], body: [UInt8], change: Change? = nil, signer: LineSigner?) {
        self.head = head
        self.body = body
        self.change = change
        self.signer = signer
        let last = Cursor(segment: 999_999_999, offset: 99_999_999_999)
        let signed = signer.map { SignedLine.fields($0, at: last).count + SignedLine.tailBytes } ?? 0
        maximumBytes = head.count + signed + Self.bodyName.count + body.count + "}\n".utf8.count
    }

    /// Returns whether the line at this position states only what has changed.
    func isChange(at place: Cursor) -> Bool {
        guard let basis = change?.basis else { return false }
        return basis.segment == place.segment && basis.offset < place.offset
    }

    /// Returns the line for this position, newline included.
    func line(at place: Cursor) throws(LedgerError) -> [UInt8] {
        let body = isChange(at: place) ? change?.body ?? body : body
        guard let signer else { return head + Self.bodyName + body + Array("}\n".utf8) }
        let start = head + SignedLine.fields(signer, at: place) + Self.bodyName + body
        let signature: [UInt8]
        do {
            signature = try signer.key.signature(of: SignedLine.signedBytes(start[...]))
        } catch {
            throw .failed(
                operation: "sign a record with",
                path: "\(signer.key)",
                reason: "\(error)",
                mayBeWritten: false
            )
        }
        return start + SignedLine.tail(signature) + [LineCodec.newline]
    }

    private static let bodyName = Array(#","body":"#.utf8)
}
