// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Makes folders in the ledger, of which no link is followed: whoever can write to the storage could point one anywhere.
enum LedgerFolder {
    /// Creates the folder if it is missing; then its name is durable on return.
    static func make(_ folder: String, in parent: String) throws(LedgerError) {
        var status = stat()
        if lstat(folder, &status) == 0 { return try FolderListing.requireFolder(folder) }
        guard mkdir(folder, SharedLog.folderMode) == 0 else {
            guard errno == EEXIST else { throw .system("create the folder", folder, code: errno) }
            return try FolderListing.requireFolder(folder)
        }
        // Independent of the umask.
        guard chmod(folder, SharedLog.folderMode) == 0 else { throw .system("set the mode of", folder, code: errno) }
        try sync(parent)
    }

    /// Makes new file names in the folder durable.
    static func sync(_ folder: String) throws(LedgerError) {
        guard let directory = try OpenFile.open(folder, flags: O_RDONLY | O_DIRECTORY) else {
            throw .notALedger(path: folder, reason: "it does not exist")
        }
        // Some file systems cannot sync a folder and return EINVAL; they write names at once.
        guard fsync(directory.descriptor) == 0 || errno == EINVAL else {
            throw .system("sync", folder, code: errno)
        }
    }
}
