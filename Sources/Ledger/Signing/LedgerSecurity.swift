// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Whether the records of a ledger are signed, and how they are verified.
public enum LedgerSecurity: Sendable {
    /// Each writer is taken at its word: for tests, and where `ledger.unsigned` says so.
    case unsigned
    /// Records count only with a signature of their writer's key.
    ///
    /// `roster` is asked anew at every read and append. Without a `signer` the ledger can only be read.
    case signed(by: SigningKey?, roster: @Sendable () -> Roster)

    /// What signs `writer`'s lines; `nil` where none are signed.
    ///
    /// Throws `LedgerError.notAMember` where nobody would count them.
    func signer(for writer: LedgerWriter, ledger: () throws(LedgerError) -> String) throws(LedgerError) -> LineSigner? {
        guard case .signed(let key, let roster) = self else { return nil }
        guard let key else {
            throw .notAMember(writer, reason: "this program has no signing key")
        }
        try RecordVerifier.requireMember(writer, with: key, in: roster())
        return LineSigner(ledger: try ledger(), key: key)
    }
}

/// The roster that counts now, shared by those who verify by it and whoever takes up newer ones.
public final class CurrentRoster: Sendable {
    private let content: Mutex<Roster>

    public init(_ roster: Roster) { content = Mutex(roster) }

    public var roster: Roster {
        get { content.withLock { $0 } }
        set { content.withLock { $0 = newValue } }
    }
}
