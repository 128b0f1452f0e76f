// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// The content of a marks file.
struct MarksFile: Codable, Sendable {
    var format = 1
    /// The ledger's id; `nil` if the ledger has none.
    var ledger: String?
    var streams: [String: LedgerMark] = [:]

    init(ledger: String?) { self.ledger = ledger }

    var marks: [LedgerStream: LedgerMark] {
        get {
            Dictionary(
                uniqueKeysWithValues: streams.compactMap { name, mark in LedgerStream(rawValue: name).map { ($0, mark) }
                }
            )
        }
        set { streams = Dictionary(uniqueKeysWithValues: newValue.map { ($0.rawValue, $1) }) }
    }

    private static let mode: mode_t = 0o600
    private static let maximumBytes = 1 << 16

    /// Returns the file's content; `nil` if there is no file.
    static func read(_ path: String) throws(LedgerError) -> MarksFile? {
        guard let file = try OpenFile.open(path, flags: O_RDONLY) else { return nil }
        let bytes = try file.read(at: 0, count: maximumBytes)
        do {
            return try JSONDecoder().decode(MarksFile.self, from: Data(bytes))
        } catch {
            // Continuing without the marks would allow what they prevent.
            let reason = "it is not a file of marks; remove it only if the ledger was not rolled back"
            throw .failed(operation: "read", path: path, reason: reason, mayBeWritten: false)
        }
    }

    /// Replaces the file as a whole and returns when that is durable.
    func write(to path: String) throws(LedgerError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let json = try? encoder.encode(self) else {
            throw .failed(operation: "write", path: path, reason: "it cannot be encoded", mayBeWritten: true)
        }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        // Creates the folder if it is missing; the next step reports an error.
        mkdir(folder, 0o755)
        let draft = "\(path).new"
        unlink(draft)
        guard let file = try OpenFile.open(draft, flags: O_RDWR | O_CREAT | O_EXCL, mode: Self.mode) else {
            throw .failed(operation: "write", path: path, reason: "its folder does not exist", mayBeWritten: true)
        }
        try file.overwrite(Array(json) + [LineCodec.newline])
        try file.sync()
        guard rename(draft, path) == 0 else { throw .system("replace", path, code: errno, mayBeWritten: true) }
        guard let directory = try OpenFile.open(folder.isEmpty ? "/" : folder, flags: O_RDONLY | O_DIRECTORY) else {
            return
        }
        guard fsync(directory.descriptor) == 0 || errno == EINVAL else {
            throw .system("sync", folder, code: errno, mayBeWritten: true)
        }
    }
}
