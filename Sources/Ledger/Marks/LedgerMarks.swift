// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// The last line of each log that one writer has read or written, in a local file.
///
/// An attacker who rolls back the log cannot roll back this file. It is durable before the start of an order is
/// confirmed, so an order starts only once, even if the log is rolled back and the agent restarts.
public final class LedgerMarks: Sendable {
    public let path: String

    /// Marks of records that were only read may be this old on the disk.
    private static let saveInterval: Duration = .seconds(5)

    /// A line that was only read counts as durable after this time, unless another one follows it before.
    private let durableAfter: Duration
    private let state = Mutex(State())
    private let saving = Mutex(())

    fileprivate struct State {
        var content: MarksFile?
        /// The last line of each log that was read, while its writer may not have synced it yet.
        var fresh: [LedgerLog: FreshLine] = [:]
        var isChanged = false
        var triedAt: ContinuousClock.Instant?
        var failure: LedgerError?
    }

    /// Maximum duration of an append, unless its storage hangs.
    public static let appendLimit: Duration = .seconds(30)

    /// Uses the marks in this file, which is created with the first mark.
    public init(path: String, durableAfter: Duration = appendLimit) {
        self.path = path
        self.durableAfter = durableAfter
    }

    /// Returns the default path of a writer's marks.
    public static func defaultPath(of writer: LedgerWriter) -> String {
        let name = writer.description.unicodeScalars.map { scalar in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            return isPlain || scalar == "." || scalar == "-" ? String(scalar) : "_\(String(scalar.value, radix: 16))"
        }
        return "/var/lib/evenkeel/marks-\(name.joined()).json"
    }

    /// Throws `.rolledBack` unless the log still has every marked line, or retention has removed it.
    func check(
        ledger: String?,
        require: (LedgerLog, LedgerMark) throws(LedgerError) -> Void
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
        for (log, mark) in content.marks.sorted(by: { $0.key.description < $1.key.description }) {
            try require(log, mark)
        }
    }

    /// Records a line that is durable if it is the furthest in its log.
    func note(_ mark: LedgerMark, in log: LedgerLog) { state.withLock { $0.note(mark, in: log) } }

    /// Records the lines of a read.
    ///
    /// The last one may have been read before its writer's sync, and a power cut would take it: it is marked when
    /// another line follows, because writers sync before the next one writes, or when it is still there later.
    func note(_ batch: RawBatch, in log: LedgerLog) {
        let last = batch.lines.filter { $0.defect == nil }.suffix(2).map { FreshLine($0, readAt: .now) }
        state.withLock { state in
            for line in last where state.isNew(line, in: log) {
                if let earlier = state.fresh[log] { state.note(earlier.mark, in: log) }
                state.fresh[log] = line
            }
            guard let line = state.fresh[log], .now - line.readAt >= durableAfter else { return }
            state.note(line.mark, in: log)
            state.fresh[log] = nil
        }
    }

    /// Returns the last line of a log that was read, while it may be lost in a power cut.
    func fresh(in log: LedgerLog) -> FreshLine? { state.withLock { $0.fresh[log] } }

    /// Records that the last line of a log that was read is lost.
    func forgetFresh(in log: LedgerLog) { state.withLock { $0.fresh[log] = nil } }

    /// Replaces the mark of a log whose furthest line was lost.
    func reset(_ mark: LedgerMark, in log: LedgerLog) {
        state.withLock { state in
            state.content?.marks[log] = mark
            state.isChanged = true
        }
    }

    /// Returns the furthest durable line of a log.
    func furthest(in log: LedgerLog) -> LedgerMark? { state.withLock { $0.content?.marks[log] } }

    /// Why the marks could not be saved the last time; `nil` if they could.
    var failure: LedgerError? { state.withLock { $0.failure } }

    /// Makes the recorded lines durable.
    func save() throws(LedgerError) {
        let result = saving.withLock { _ in Result { () throws(LedgerError) in try replaceFile() } }
        try result.get()
    }

    private func replaceFile() throws(LedgerError) {
        let changed = state.withLock { state in
            defer { state.isChanged = false }
            if state.isChanged { state.triedAt = .now }
            return state.isChanged ? state.content : nil
        }
        guard let changed else { return }
        do throws(LedgerError) {
            try changed.write(to: path)
        } catch {
            state.withLock { state in
                state.isChanged = true
                state.failure = error
            }
            throw error
        }
        state.withLock { $0.failure = nil }
    }

    /// Makes the recorded lines durable if the last attempt is older than `saveInterval`.
    ///
    /// A failure stays in `failure`, and the marks in memory: what was only read or sampled needs no durable mark.
    func saveIfStale() {
        let isDue = state.withLock { $0.triedAt.map { .now - $0 > Self.saveInterval } ?? true }
        if isDue { try? save() }
    }

    private func load() throws(LedgerError) -> MarksFile? {
        if let content = state.withLock({ $0.content }) { return content }
        let content = try MarksFile.read(path)
        state.withLock { $0.content = content }
        return content
    }
}

extension LedgerMarks.State {
    mutating func note(_ mark: LedgerMark, in log: LedgerLog) {
        guard content?.marks[log].map({ $0.at < mark.at }) ?? true else { return }
        content?.marks[log] = mark
        isChanged = true
    }

    /// Whether the line is further than all that were read or written.
    func isNew(_ line: FreshLine, in log: LedgerLog) -> Bool {
        let known = [content?.marks[log]?.at, fresh[log]?.mark.at].compactMap(\.self)
        return known.allSatisfy { $0 < line.mark.at }
    }
}
