// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Identity
import Ledger

/// Updates the operator's root of trust to the newest roster seen, so that an older one is detected.
enum RosterUpdate {
    /// Applies the roster in the ledger's folder, and reports problems with it or with storing it.
    ///
    /// The roster in `folder` then applies; a newer one that cannot be stored there applies this once.
    static func bring(_ folder: String, upTo ledger: String, say: (String) -> Void) async {
        // Either no roster was published, or the storage is unavailable, which the next step reports.
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
