// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Identity
import Ledger

/// Keeps the operator's root of trust as new as what was ever seen, so that an old roster put back is noticed.
enum RosterUpdate {
    /// Takes up the roster in the ledger's folder, and says what is wrong with it or with keeping it.
    ///
    /// What is in `folder` counts then; a newer one that cannot be kept there counts for this once.
    static func bring(_ folder: String, upTo ledger: String, say: (String) -> Void) async {
        // Nothing was ever published, or the storage is not there, which the next step says.
        guard FileManager.default.fileExists(atPath: "\(ledger)/\(SignedRoster.fileName)") else { return }
        do {
            _ = try await IdentityFolder(folder).update(fromLedger: ledger)
        } catch let error as IdentityError {
            say("warning: \(error)".plainText() + consequence(error, folder))
        } catch {
            say("warning: cannot apply the roster in \(ledger): \(error)".plainText())
        }
    }

    private static func consequence(_ error: IdentityError, _ folder: String) -> String {
        switch error {
        case .rolledBack, .foreignRoster: "; using the roster in \(folder)"
        default: "; an older roster would not be detected next time"
        }
    }
}
