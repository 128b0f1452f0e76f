// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A guest's console output so far.
///
/// Incomplete lines, such as the one being written, and the kernel's own messages are skipped.
public struct ConsoleLog: Sendable, Equatable {
    public var readings: [ConsoleReading] = []
    /// Number of times the guest booted; more than one means that it was restarted, not moved.
    public var starts = 0
    /// Number of times its uptime went back without a boot: two copies of the guest wrote to the console.
    public var setbacks = 0
    /// Errors of the guest program, such as a module that did not load.
    public var errors: [String] = []
    /// Descriptions of writes that the guest had reported and that its disk has lost.
    public var lostWrites: [String] = []

    /// Every problem that the guest has found, once, and its lost writes.
    public var problems: [String] {
        var found: [String] = []
        for reading in readings {
            for problem in [reading.memoryProblem.map { "mem=\($0)" }, reading.diskProblem.map { "disk=\($0)" }] {
                if let problem, !found.contains(problem) { found.append(problem) }
            }
        }
        return found + lostWrites + errors
    }

    /// `reported`: the last disk sequence number that the guest reported before this text.
    public init(parsing text: String, after reported: UInt64? = nil) {
        guard let end = text.lastIndex(where: \.isNewline) else { return }
        var uptime: Duration?
        var reported = reported ?? 0
        for line in text[..<end].split(whereSeparator: \.isNewline) where line.hasPrefix("EK ") {
            let words = line.dropFirst(3).split(separator: " ")
            // A guest that was killed may have left the beginning of a line before it.
            if words.contains("start") {
                starts += 1
                uptime = nil
            } else if let error = words.first(where: { $0.hasPrefix("error=") }) {
                errors.append(String(error.dropFirst("error=".count)))
            } else if let reading = ConsoleReading(words: words) {
                let isSetback = uptime.map { reading.uptime <= $0 } ?? false
                if isSetback { setbacks += 1 }
                uptime = reading.uptime
                // It is 0 until a booted guest has found the highest record on its disk.
                if let sequence = reading.diskSequence, sequence > 0 {
                    // Of two copies, one is behind.
                    if sequence < reported, !isSetback {
                        lostWrites.append("its disk went back from record \(reported) to \(sequence)")
                    }
                    reported = sequence
                }
                readings.append(reading)
            }
        }
    }

    /// Returns the units of work per second between two instants of the guest's clock; `nil` with fewer than two
    /// readings.
    public func rate(from start: Instant, to end: Instant) -> Double? {
        let within = readings.filter { $0.at >= start && $0.at <= end }
        guard let first = within.first, let last = within.last, last.at > first.at, last.units >= first.units else {
            return nil
        }
        return Double(last.units - first.units) / (last.at - first.at).inSeconds
    }
}

/// One line of a guest, which it writes about once a second.
public struct ConsoleReading: Sendable, Equatable {
    /// The guest's time since its boot.
    public var uptime: Duration
    /// The guest's clock: set at boot from its host, accurate to a second; it stops during a downtime.
    public var at: Instant
    /// Units of work done since its boot.
    public var units: UInt64
    /// Units of work per second since the previous line.
    public var rate: Double
    /// The problem found by its memory check; `nil` if there is none.
    public var memoryProblem: String?
    /// The highest sequence number written to the disk and verified.
    public var diskSequence: UInt64?
    /// The problem found by its disk check; `nil` if there is none.
    public var diskProblem: String?

    init?(words: [Substring]) {
        var values: [Substring: Substring] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        guard let milliseconds = values["t"].flatMap({ Int64($0) }), let at = values["at"].flatMap({ Int64($0) }),
            let units = values["units"].flatMap({ UInt64($0) }), let rate = values["rate"].flatMap({ Double($0) }),
            // Anything else is a torn line.
            let memory = values["mem"], memory == "ok" || memory.hasPrefix("BAD:"),
            let disk = values["disk"], UInt64(disk) != nil || disk.hasPrefix("BAD:")
        else { return nil }
        uptime = .milliseconds(milliseconds)
        self.at = Instant(milliseconds: at)
        self.units = units
        self.rate = rate
        memoryProblem = memory == "ok" ? nil : String(memory)
        diskSequence = UInt64(disk)
        diskProblem = diskSequence == nil ? String(disk) : nil
    }
}
