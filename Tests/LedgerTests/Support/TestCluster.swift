// SPDX-License-Identifier: Apache-2.0
import Fleet
import Ledger
import Synchronization

/// A cluster that creates its members' keys on demand.
final class TestCluster: Sendable {
    let roster = CurrentRoster(
        Roster(cluster: "test", number: 1, issuedAt: writtenAt, anchors: [], members: [])
    )
    private let keys = Mutex<[LedgerWriter: SigningKey]>([:])

    /// Returns the writer's key; the roster lists it from now on.
    func key(of writer: LedgerWriter) -> SigningKey {
        keys.withLock { keys in
            if let key = keys[writer] { return key }
            let key = SigningKey()
            keys[writer] = key
            roster.roster.members.append(Self.member(writer, key))
            return key
        }
    }

    static func member(_ writer: LedgerWriter, _ key: SigningKey) -> Roster.Member {
        Roster.Member(
            name: writer,
            certificate: "",
            expires: Instant(milliseconds: 1 << 50),
            keys: [key.verification]
        )
    }

    /// Returns the security with which a member opens the ledger.
    func security(of writer: LedgerWriter) -> LedgerSecurity {
        .signed(by: key(of: writer)) { [roster] in roster.roster }
    }

    /// The security of a reader without a key.
    var readersSecurity: LedgerSecurity { .signed(by: nil) { [roster] in roster.roster } }

    /// Returns the security of a forger: it signs in another's name and trusts a roster that lists its own key.
    static func forger(of writer: LedgerWriter, with key: SigningKey) -> LedgerSecurity {
        let roster = Roster(
            cluster: "forged",
            number: 1,
            issuedAt: writtenAt,
            anchors: [],
            members: [member(writer, key)]
        )
        return .signed(by: key) { roster }
    }

    func revoke(_ writer: LedgerWriter, at instant: Instant, ends: [String: Cursor]) {
        var changed = roster.roster
        changed.number += 1
        for index in changed.members.indices where changed.members[index].name == writer {
            changed.members[index].revocation = Roster.Revocation(at: instant, reason: "stolen", ends: ends)
        }
        roster.roster = changed
    }
}
