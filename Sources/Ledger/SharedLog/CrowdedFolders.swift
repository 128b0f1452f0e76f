// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The folders of one opening of the ledger that had too many names the last time they were listed.
///
/// Whoever can write to the storage can fill a folder. Then only a limited number of names is read, and what is needed
/// is looked up by its name.
final class CrowdedFolders: Sendable {
    private let folders = Mutex<Set<String>>([])

    /// Records whether the folder had too many names.
    func note(_ folder: String, isCrowded: Bool) {
        folders.withLock { folders in
            if isCrowded { folders.insert(folder) } else { folders.remove(folder) }
        }
    }

    /// What an operator should do; `nil` if no folder is crowded.
    var trouble: String? {
        let crowded = folders.withLock { $0.sorted() }
        guard !crowded.isEmpty else { return nil }
        return
            "\(crowded.joined(separator: " and ")): more than \(FolderListing.maximum) files. The ledger is still used, but "
            + "find out who made them, and remove those that Evenkeel did not make."
    }
}
