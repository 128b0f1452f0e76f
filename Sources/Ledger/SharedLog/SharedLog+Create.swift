// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Glibc

extension SharedLog {
    /// The file that marks a ledger's folder, unlike for instance the empty mount point of a missing storage.
    static let markerName = "ledger.json"
    static let fileMode: mode_t = 0o640
    static let folderMode: mode_t = 0o750

    /// Creates a ledger: the folder if it is missing, but not its parents, and the marker file in it.
    ///
    /// Does nothing if the folder already is a ledger.
    public static func create(folder: String) async throws(LedgerError) {
        let limit = Options().timeLimit
        try await Blocking.run(
            within: limit,
            late: { LedgerError.stalled(path: folder, waited: limit, mayBeWritten: $0) },
            { () throws(LedgerError) in try makeFolder(folder) }
        )
    }

    private static func makeFolder(_ folder: String) throws(LedgerError) {
        if mkdir(folder, folderMode) == 0 {
            guard chmod(folder, folderMode) == 0 else { throw .system("set the mode of", folder, code: errno) }
        } else if errno != EEXIST {
            throw .system("create the folder", folder, code: errno)
        }
        let marker = "\(folder)/\(markerName)"
        guard access(marker, F_OK) != 0 else { return }
        // The marker appears as a whole, even with two concurrent calls or a killed process.
        do { try DurableFile.replace(marker, with: LedgerMarker.new.json, mode: fileMode) } catch {
            throw .system("create", error.path, code: error.code)
        }
    }
}
