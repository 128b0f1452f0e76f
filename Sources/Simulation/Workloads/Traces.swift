// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// The reason and location of an error in a trace.
public struct TraceError: Error, Sendable, Equatable, CustomStringConvertible {
    public var file: String
    /// The line number, from 1; `nil` for the file as a whole.
    public var line: Int?
    public var reason: String
    public init(file: String, line: Int? = nil, reason: String) {
        self.file = file
        self.line = line
        self.reason = reason
    }
    public var description: String { "\(file)\(line.map { ", line \($0)" } ?? ""): \(reason)" }
}

/// One VM's load from a file.
public struct Trace: Sendable, Equatable {
    public var name: String
    /// Demand as a share of its VCPUs, 0 to 1, every five minutes.
    public var demand: [Float]
    /// The VM's size, if the trace contains it.
    public var vcpus: Int?
    public var memoryBytes: UInt64?

    /// The interval of the values in both formats.
    public static let step: Duration = .seconds(300)

    /// Reads a file in one of the two formats, which differ in the first line.
    ///
    /// - PlanetLab (CoMon): one CPU percentage a line.
    /// - Bitbrains GWA-T-12: a header that names its columns, then a line of values separated by semicolons.
    public init(name: String, text: String) throws(TraceError) {
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        guard let first = lines.first(where: { !$0.allSatisfy(\.isWhitespace) }) else {
            throw TraceError(file: name, reason: "the file is empty")
        }
        self = try first.contains(";") ? Self.bitbrains(name, lines) : Self.planetLab(name, lines)
    }

    private init(name: String, demand: [Float], vcpus: Int? = nil, memoryBytes: UInt64? = nil) {
        self.name = name
        self.demand = demand
        self.vcpus = vcpus
        self.memoryBytes = memoryBytes
    }

    // MARK: PlanetLab

    private static func planetLab(_ name: String, _ lines: [Substring]) throws(TraceError) -> Trace {
        var demand: [Float] = []
        for (number, line) in lines.enumerated() {
            let word = trimmed(line)
            guard !word.isEmpty else { continue }
            guard let percent = Double(word), percent >= 0, percent <= 100 else {
                let reason = "a CPU percentage must be 0 to 100, not '\(word.prefix(40))'"
                throw TraceError(file: name, line: number + 1, reason: reason)
            }
            demand.append(Float(percent / 100))
        }
        return Trace(name: name, demand: demand)
    }

    // MARK: Bitbrains

    private static func bitbrains(_ name: String, _ lines: [Substring]) throws(TraceError) -> Trace {
        var columns: [String: Int] = [:]
        var rows: [(time: Double, share: Double)] = []
        var vcpus = 1
        var memory: UInt64 = 0
        for (number, line) in lines.enumerated() where !line.allSatisfy(\.isWhitespace) {
            let fields = line.split(separator: ";", omittingEmptySubsequences: false).map(trimmed)
            if columns.isEmpty {
                for (index, field) in fields.enumerated() { columns[field.lowercased()] = index }
                continue
            }
            func value(_ column: String) throws(TraceError) -> Double {
                guard let index = columns[column] else {
                    throw TraceError(file: name, line: 1, reason: "the column '\(column)' is missing")
                }
                guard index < fields.count, let value = Double(fields[index]), value >= 0, value < 1e15 else {
                    let word = index < fields.count ? String(fields[index].prefix(40)) : ""
                    let reason = "the value of '\(column)' must be a number, not '\(word)'"
                    throw TraceError(file: name, line: number + 1, reason: reason)
                }
                return value
            }
            let provisioned = try value("cpu capacity provisioned [mhz]")
            let used = try value("cpu usage [mhz]")
            vcpus = max(vcpus, Int(min(try value("cpu cores"), 1024)))
            memory = max(memory, UInt64(min(try value("memory capacity provisioned [kb]"), 1e12)) * 1024)
            let share = provisioned > 0 ? min(1, used / provisioned) : 0
            rows.append((try value("timestamp [ms]"), share))
        }
        guard !rows.isEmpty else { throw TraceError(file: name, reason: "the file has no values after the header") }
        return Trace(
            name: name,
            demand: evenly(rows),
            vcpus: vcpus,
            memoryBytes: max(memory, 256 << 20)
        )
    }

    /// Returns one value for every five minutes: gaps repeat the last value; of several values in a step, the last
    /// counts.
    ///
    /// The header specifies milliseconds; the published files contain seconds.
    private static func evenly(_ rows: [(time: Double, share: Double)]) -> [Float] {
        let sorted = rows.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
            .map(\.element)
        let seconds = step.inSeconds
        let isInMilliseconds = (sorted.first?.time ?? 0) > 1e11
        let first = sorted.first?.time ?? 0
        var demand: [Float] = []
        for row in sorted {
            let since = (row.time - first) / (isInMilliseconds ? 1000 : 1)
            // At most a year: a wrong timestamp must not exhaust the memory.
            let index = Int(min((since / seconds).rounded(), 105_120))
            while demand.count < index { demand.append(demand.last ?? Float(row.share)) }
            if index < demand.count {
                demand[index] = Float(row.share)
            } else {
                demand.append(Float(row.share))
            }
        }
        return demand
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first?.isWhitespace == true { text = text.dropFirst() }
        while text.last?.isWhitespace == true { text = text.dropLast() }
        return String(text)
    }
}

extension Workload {
    /// Creates the load of traces, in the order of their names; the seed determines missing properties of the VMs.
    public init(_ traces: [Trace], seed: UInt64) {
        var random = SplitMix64(seed: seed ^ 0x7ace)
        let sorted = traces.sorted { $0.name < $1.name }
        self.init(
            step: Trace.step,
            vms: sorted.map {
                VMLoad(
                    name: $0.name,
                    demand: $0.demand,
                    random: &random,
                    vcpus: $0.vcpus,
                    memoryBytes: $0.memoryBytes
                )
            }
        )
    }
}
