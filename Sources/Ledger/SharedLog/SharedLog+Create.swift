// SPDX-License-Identifier: Apache-2.0
internal import Glibc

extension SharedLog {
    /// The file that marks a ledger's folder, unlike for instance the empty mount point of a missing storage.
    static let markerName = "ledger.json"
    static let fileMode: mode_t = 0o640
    private static let folderMode: mode_t = 0o750

    /// Creates a ledger: the folder if it is missing, but not its parents, and the marker file in it.
    ///
    /// Does nothing if the folder already is a ledger.
    public static func create(folder: String) async throws(LedgerError) {
        let limit = Options().timeLimit
        try await BlockingQueue(label: "evenkeel.ledger.create").run(
            within: limit,
            stalled: { .stalled(path: folder, waited: limit, mayBeWritten: $0) },
            work: { () throws(LedgerError) in try makeFolder(folder) }
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
        // The name of the draft is unpredictable, and the file must not exist yet.
        let draft = "\(marker).\(LedgerFile.newID()).new"
        guard let file = try OpenFile.open(draft, flags: O_RDWR | O_CREAT | O_EXCL) else {
            throw .notALedger(path: folder, reason: "it was removed a moment ago")
        }
        try file.setMode()
        try file.overwrite(LedgerFile.new.json)
        try file.sync()
        guard rename(draft, marker) == 0 else { throw .system("create", marker, code: errno) }
        try SegmentFiles(folder: folder, stream: .load).syncFolder()
    }
}
