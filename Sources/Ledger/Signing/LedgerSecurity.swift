// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Whether records are signed, and the keys that verify them.
public enum LedgerSecurity: Sendable {
    /// Writers are not verified: for tests, and with `ledger.unsigned`.
    case unsigned
    /// Records are valid only with a signature of their writer's key.
    ///
    /// `roster` is called at every read and append. Without a key the ledger can only be read.
    case signed(by: SigningKey?, roster: @Sendable () -> Roster)

    /// Returns the signer of `writer`'s lines; `nil` in an unsigned ledger.
    ///
    /// Throws `LedgerError.notAMember` if readers would reject the lines.
    func signer(for writer: LedgerWriter, ledger: () throws(LedgerError) -> String) throws(LedgerError) -> LineSigner? {
        guard case .signed(let key, let roster) = self else { return nil }
        guard let key else {
            throw .notAMember(writer, reason: "this program has no signing key")
        }
        try RecordVerifier.requireMember(writer, with: key, in: roster())
        return LineSigner(ledger: try ledger(), key: key)
    }
}

/// The roster in force, shared by the verifiers and the code that adopts newer rosters.
public final class CurrentRoster: Sendable {
    private let content: Mutex<Roster>

    public init(_ roster: Roster) { content = Mutex(roster) }

    public var roster: Roster {
        get { content.withLock { $0 } }
        set { content.withLock { $0 = newValue } }
    }
}
