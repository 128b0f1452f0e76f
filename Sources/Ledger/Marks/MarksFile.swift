// SPDX-License-Identifier: Apache-2.0
internal import HostOS

/// The content of a marks file.
struct MarksFile: Codable, Sendable {
    var format = 1
    /// The ledger's id; `nil` if the ledger has none.
    var ledger: String?
    /// The marks by `LedgerLog.description`.
    var streams: [String: LedgerMark] = [:]

    init(ledger: String?) { self.ledger = ledger }

    var marks: [LedgerLog: LedgerMark] {
        get {
            let pairs = streams.compactMap { name, mark in LedgerLog(name).map { ($0, mark) } }
            // Earlier versions marked the samples that all hosts wrote to one log; nobody writes to it any more.
            return Dictionary(uniqueKeysWithValues: pairs.filter { $0.0 != LedgerLog(.load) })
        }
        set { streams = Dictionary(uniqueKeysWithValues: newValue.map { ($0.description, $1) }) }
    }

    /// Returns the file's content; `nil` if there is no file.
    static func read(_ path: String) throws(LedgerError) -> MarksFile? {
        do { return try StateFile<MarksFile>(path: path).read() } catch {
            if case .unreadable(let failure) = error { throw LedgerError(failure) }
            // Continuing without the marks would allow what they prevent.
            let reason = "it is not a file of marks; remove it only if the ledger was not rolled back"
            throw .failed(operation: "read", path: path, reason: reason, mayBeWritten: false)
        }
    }

    /// Replaces the file as a whole and returns when that is durable.
    func write(to path: String) throws(LedgerError) {
        do { try StateFile(path: path).replace(self) } catch {
            if case .unwritable(let failure) = error {
                throw .system("write", failure.path, code: failure.code, mayBeWritten: true)
            }
            throw .failed(operation: "write", path: path, reason: error.reason, mayBeWritten: true)
        }
    }
}
