// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The reasons to reject a complete record.
public enum RecordRefusal: Sendable, Equatable, CustomStringConvertible {
    /// It has no signature, in a ledger whose records are signed.
    case unsigned
    /// The roster does not list its writer.
    case unknownWriter(LedgerWriter)
    /// It is signed with a key that is not its writer's; `of` is the member to whom the key belongs, if any.
    case wrongSigner(key: String, of: LedgerWriter?)
    /// The signature does not match the bytes.
    case altered
    /// It is genuine, but was written for another position: it was copied or moved.
    case wrongPlace(stream: String, Cursor)
    /// It is genuine, but was written for another ledger, the one with this id.
    case otherLedger(String)
    /// It was written after its writer was removed from the cluster; `reason` states when and why.
    case revoked(reason: String)
    /// It is genuine, but reports for another host, or gives an order that only others may give.
    case notForWriter
    /// Its time is too far ahead of the reader's clock; it is accepted once that clock reaches it.
    case fromTheFuture(ahead: Duration, at: Instant)

    public var description: String {
        switch self {
        case .unsigned: "it is not signed"
        case .unknownWriter(let writer):
            "its writer '\(writer.description.plainText(limit: 80))' is not a member of the cluster"
        case .wrongSigner(let key, let owner):
            "it is signed with key \(key.plainText(limit: 80)), "
                + (owner.map { "which belongs to \($0)" } ?? "which belongs to no member") + ", not to its writer"
        case .altered: "its signature is invalid: it was altered, or not signed with its writer's key"
        case .wrongPlace(let stream, let place):
            "it was written at \(stream.plainText(limit: 80)) \(place), and copied or moved here"
        case .otherLedger(let id): "it was written for another ledger, '\(id.plainText(limit: 80))'"
        case .revoked(let reason): "it was written after its writer was removed from the cluster \(reason)"
        case .notForWriter: "its writer is not permitted to write this record"
        case .fromTheFuture(let ahead, _):
            "its time is \(ahead.text) ahead of this host's clock, so it is held back until then. Check both clocks."
        }
    }
}
