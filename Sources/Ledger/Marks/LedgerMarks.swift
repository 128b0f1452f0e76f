// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// How far one host has seen the ledger, kept in a file of its own: whoever sets the log back cannot set this back.
///
/// Of each stream it is the last line read or written. It is durable before an order's beginning is confirmed, so an
/// order is begun once, also when the log is set back and the agent started again.
public final class LedgerMarks: Sendable {
    public let path: String

    /// Marks of what was only read need not be newer than this on the disk.
    private static let saveInterval: Duration = .seconds(5)

    private let state = Mutex(State())
    private let saving = Mutex(())

    private struct State {
        var content: MarksFile?
        var isChanged = false
        var savedAt: ContinuousClock.Instant?
    }

    /// The marks in this file, which is made when there is something to note.
    public init(path: String) { self.path = path }

    /// Where a writer's marks are unless the configuration says otherwise.
    public static func defaultPath(of writer: LedgerWriter) -> String {
        let name = writer.description.unicodeScalars.map { scalar in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            return isPlain || scalar == "." || scalar == "-" ? String(scalar) : "_\(String(scalar.value, radix: 16))"
        }
        return "/var/lib/evenkeel/marks-\(name.joined()).json"
    }

    /// Throws `.rolledBack` unless the log has every line that was noted, or has let go of it in the course of time.
    func check(
        ledger: String?,
        require: (LedgerStream, LedgerMark) throws(LedgerError) -> Void
    ) throws(LedgerError) {
        guard let content = try load() else {
            state.withLock { $0.content = MarksFile(ledger: ledger) }
            return
        }
        guard content.ledger == ledger else {
            let names =
                "its id is \(ledger ?? "missing"), the id seen before was \(content.ledger ?? "missing")"
            throw .rolledBack(path: "the ledger", reason: names)
        }
        for (stream, mark) in content.marks.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try require(stream, mark)
        }
    }

    /// Notes a line, if it is the furthest in its stream.
    func note(_ mark: LedgerMark?, in stream: LedgerStream) {
        guard let mark else { return }
        state.withLock { state in
            guard state.content?.marks[stream].map({ $0.at < mark.at }) ?? true else { return }
            state.content?.marks[stream] = mark
            state.isChanged = true
        }
    }

    /// The furthest line noted in a stream.
    func furthest(in stream: LedgerStream) -> LedgerMark? { state.withLock { $0.content?.marks[stream] } }

    /// Makes what was noted durable.
    func save() throws(LedgerError) {
        let result = saving.withLock { _ in Result { () throws(LedgerError) in try replaceFile() } }
        try result.get()
    }

    private func replaceFile() throws(LedgerError) {
        let changed = state.withLock { state in
            defer { state.isChanged = false }
            return state.isChanged ? state.content : nil
        }
        guard let changed else { return }
        do throws(LedgerError) {
            try changed.write(to: path)
        } catch {
            state.withLock { $0.isChanged = true }
            throw error
        }
        state.withLock { $0.savedAt = .now }
    }

    /// Makes it durable when that was last done long ago.
    func saveFromTimeToTime() throws(LedgerError) {
        let isDue = state.withLock { $0.savedAt.map { .now - $0 > Self.saveInterval } ?? true }
        if isDue { try save() }
    }

    private func load() throws(LedgerError) -> MarksFile? {
        if let content = state.withLock({ $0.content }) { return content }
        let content = try MarksFile.read(path)
        state.withLock { $0.content = content }
        return content
    }
}
