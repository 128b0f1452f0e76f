// SPDX-License-Identifier: Apache-2.0

/// One process in /proc, told apart from a later one with the same id by the time of its start.
struct ProcessStat: Sendable, Hashable {
    var id: Int32
    var parent: Int32
    /// In clock ticks since the machine's boot.
    var startTicks: UInt64

    /// Parses /proc/PID/stat and returns the process and its state, such as `S`; `nil` if the text is incomplete.
    static func parse(_ text: String) -> (process: ProcessStat, state: Character)? {
        // The command's name is in parentheses and may contain blanks: count from the last parenthesis.
        guard let end = text.lastIndex(of: ")"), let id = text.split(separator: " ").first.flatMap({ Int32($0) })
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        // The state is field 3, the parent field 4, and the start field 22.
        guard fields.count > 19, let state = fields[0].first, let parent = Int32(fields[1]),
            let start = UInt64(fields[19])
        else { return nil }
        return (ProcessStat(id: id, parent: parent, startTicks: start), state)
    }

    private static func read(_ process: Int32) -> (process: ProcessStat, state: Character)? {
        (try? Files.text("/proc/\(process)/stat")).flatMap(parse)
    }

    /// Returns the process with this id; `nil` if it has ended.
    static func of(_ process: Int32) -> ProcessStat? {
        read(process).flatMap { ["Z", "X"].contains($0.state) ? nil : $0.process }
    }

    /// Whether this very process has ended.
    var hasEnded: Bool { Self.of(id)?.startTicks != startTicks }

    /// Whether the process with this id is stopped by SIGSTOP, or has ended.
    static func isStopped(_ process: Int32) -> Bool { read(process).map { "TtZX".contains($0.state) } ?? true }
}
