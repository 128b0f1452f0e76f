// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What one process uses at a moment, from `/proc/PID`.
struct ProcessFigures: Codable, Sendable, Equatable {
    /// Memory in RAM, including pages of files that other processes may share, in bytes.
    var residentBytes: Int64
    /// The largest memory in RAM since the start of the process, in bytes; `nil` if the kernel does not tell.
    var peakResidentBytes: Int64?
    /// Anonymous memory (heap and stacks) in RAM and in swap, in bytes.
    ///
    /// Unlike resident memory it does not depend on other processes or on what the page cache holds.
    var privateBytes: Int64
    var descriptors: Int
    var threads: Int
    /// CPU time of the process since its start, in seconds.
    var cpuSeconds: Double
    /// CPU time of the commands that it ran and that have ended, in seconds.
    var commandSeconds: Double
}

extension ProcessFigures {
    /// Reads the figures; `nil` if the process has ended.
    static func read(_ process: Int32, proc: String = "/proc") -> ProcessFigures? {
        let folder = "\(proc)/\(process)"
        func text(_ file: String) -> String? { try? String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8) }
        func count(_ entries: String) -> Int? {
            try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(entries)").count
        }
        guard let status = text("status"), let stat = text("stat"), let descriptors = count("fd"),
            let threads = count("task")
        else { return nil }
        return ProcessFigures(
            status: status,
            rollup: text("smaps_rollup"),
            stat: stat,
            descriptors: descriptors,
            threads: threads,
            ticksPerSecond: Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        )
    }

    /// Parses the files; `nil` for a process that has ended and was not reaped yet: it has no memory.
    ///
    /// Without `smaps_rollup`, which some kernels lack, `status` has the same figures, less exactly.
    init?(
        status: String,
        rollup: String?,
        stat: String,
        descriptors: Int,
        threads: Int,
        ticksPerSecond: Double
    ) {
        let status = Self.kibibytes(status)
        let rollup = rollup.map(Self.kibibytes) ?? [:]
        guard let resident = rollup["Rss"] ?? status["VmRSS"],
            let anonymous = rollup["Anonymous"] ?? status["RssAnon"]
        else { return nil }
        let swapped = rollup["Swap"] ?? status["VmSwap"] ?? 0
        // The command's name is in parentheses and may contain blanks: count from the last parenthesis.
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ").map { Double($0) ?? 0 }
        // utime, stime, cutime and cstime are the fields 14 to 17; the state is field 3.
        guard fields.count > 14 else { return nil }
        residentBytes = resident * 1024
        peakResidentBytes = status["VmHWM"].map { $0 * 1024 }
        privateBytes = (anonymous + swapped) * 1024
        self.descriptors = descriptors
        self.threads = threads
        cpuSeconds = (fields[11] + fields[12]) / ticksPerSecond
        commandSeconds = (fields[13] + fields[14]) / ticksPerSecond
    }

    /// Returns the lines of the form `Name:  123 kB`.
    private static func kibibytes(_ text: String) -> [String: Int64] {
        var found: [String: Int64] = [:]
        for line in text.split(separator: "\n") where line.hasSuffix(" kB") {
            let parts = line.split(whereSeparator: { $0 == ":" || $0 == " " || $0 == "\t" })
            if parts.count == 3, let value = Int64(parts[1]), (0..<(1 << 50)).contains(value) {
                found[String(parts[0])] = value
            }
        }
        return found
    }
}
