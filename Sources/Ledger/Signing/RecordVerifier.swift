// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Synchronization

/// Verifies signed lines of one ledger with a roster.
struct RecordVerifier: Sendable {
    /// Maximum time by which a record may be ahead of the reader's clock.
    private static let clockTolerance: Duration = .seconds(600)

    private let ledger: String
    private let roster: Roster
    private let members: [LedgerWriter: Roster.Member]
    /// Prepared once, because preparing a key takes a large part of the time of a verification.
    private let keys: [VerificationKey: PreparedKey]
    private let owners: [String: LedgerWriter]

    init(ledger: String, roster: Roster) {
        self.ledger = ledger
        self.roster = roster
        members = Dictionary(roster.members.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let pairs = roster.members.flatMap { member in member.keys.map { ($0, member.name) } }
        owners = Dictionary(pairs.map { ($0.id, $1) }, uniquingKeysWith: { first, _ in first })
        var keys: [VerificationKey: PreparedKey] = [:]
        for (key, _) in pairs { keys[key] = PreparedKey(key) }
        self.keys = keys
    }

    func knows(_ writer: LedgerWriter) -> Bool { members[writer] != nil }

    /// Returns why the line at `place` is rejected; `nil` if it is valid.
    func refusal(
        of line: SignedLine,
        at place: Cursor,
        in log: LedgerLog,
        now: Instant
    ) -> RecordRefusal? {
        guard let member = members[line.writer] else { return .unknownWriter(line.writer) }
        guard let key = member.keys.first(where: { $0.id == line.key }) else {
            return .wrongSigner(key: line.key, of: owners[line.key])
        }
        guard keys[key]?.accepts(line.signature, of: line.signedBytes) == true else { return .altered }
        guard line.ledger == ledger else { return .otherLedger(line.ledger) }
        guard line.kind == log.stream.rawValue, line.place == place, line.writer == log.writer ?? line.writer else {
            return .wrongPlace(stream: line.kind, line.place)
        }
        if let revocation = member.revocation {
            // Without the stream's end, nothing proves what came before: the writer chooses the time in a line.
            // The ends are those of the shared logs.
            guard log.writer == nil, let end = revocation.ends[log.stream.rawValue], place < end else {
                return .revoked(reason: revocation.text)
            }
        }
        if line.at > now + Self.clockTolerance { return .fromTheFuture(ahead: line.at - now, at: line.at) }
        return nil
    }

    /// Returns whether a member wrote the line at its position, even if it is rejected for another reason.
    func isGenuine(_ line: RawBatch.Line, in log: LedgerLog) -> Bool {
        guard let signed = try? SignedLine(line.bytes) else { return false }
        return switch refusal(of: signed, at: line.at, in: log, now: signed.at) {
        case nil, .revoked: true
        default: false
        }
    }

    /// Throws unless readers accept the lines that `key` signs for the writer from now on.
    static func requireMember(_ writer: LedgerWriter, with key: SigningKey, in roster: Roster) throws(LedgerError) {
        guard let member = roster[writer] else {
            throw .notAMember(writer, reason: "roster \(roster.number) does not list it")
        }
        guard member.keys.contains(key.verification) else {
            throw .notAMember(writer, reason: "key \(key.verification.id) is not its key in roster \(roster.number)")
        }
        if let revocation = member.revocation {
            let addition = if case .host(let host) = writer { "; \(host.additionHint)" } else { "" }
            throw .notAMember(
                writer,
                reason: "it was removed from the cluster \(revocation.text)\(addition)"
            )
        }
    }

    /// Keeps the verifier of the roster in force.
    final class Cache: Sendable {
        private let verifier = Mutex<RecordVerifier?>(nil)

        func verifier(ledger: String, roster: Roster) -> RecordVerifier {
            verifier.withLock { kept in
                if let kept, kept.ledger == ledger, kept.roster == roster { return kept }
                let new = RecordVerifier(ledger: ledger, roster: roster)
                kept = new
                return new
            }
        }
    }
}
