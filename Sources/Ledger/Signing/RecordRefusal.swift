// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Why a line that is whole does not count.
public enum RecordRefusal: Sendable, Equatable, CustomStringConvertible {
    /// It has no signature, in a ledger whose records are signed.
    case unsigned
    /// The roster does not name its writer.
    case unknownWriter(LedgerWriter)
    /// It was signed with a key that is not its writer's; whose it is, if a member's.
    case wrongSigner(key: String, of: LedgerWriter?)
    /// The signature is not that of these bytes.
    case altered
    /// It is genuine and was written for another place: a copy, or moved.
    case wrongPlace(stream: String, Cursor)
    /// It is genuine and was written for another ledger, the one with this id.
    case otherLedger(String)
    /// It was written after its writer was removed from the cluster; `reason`: when and why.
    case revoked(reason: String)
    /// It is genuine, but speaks for another host, or orders what only others may.
    case notForWriter
    /// Its time is further ahead of the reader's clock than clocks may differ; it counts when that clock has come to it.
    case fromTheFuture(ahead: Duration, at: Instant)

    public var description: String {
        switch self {
        case .unsigned: "it is not signed"
        case .unknownWriter(let writer):
            "'\(writer.description.plainText(limit: 80))', whom it names as its writer, is no member of the cluster"
        case .wrongSigner(let key, let owner):
            "it was signed with key \(key.plainText(limit: 80)), "
                + (owner.map { "which is that of \($0)" } ?? "which is nobody's") + ", not with its writer's"
        case .altered: "its signature does not verify: it was altered, or its writer's key did not sign it"
        case .wrongPlace(let stream, let place):
            "it was written as \(stream.plainText(limit: 80)) \(place) and copied or moved here"
        case .otherLedger(let id): "it was written for another ledger, '\(id.plainText(limit: 80))'"
        case .revoked(let reason): "its writer was removed from the cluster before, \(reason)"
        case .notForWriter: "what it says is not for its writer to say"
        case .fromTheFuture(let ahead, _):
            "its time is \(ahead) ahead of the clock here, until which it waits: check both clocks"
        }
    }
}
