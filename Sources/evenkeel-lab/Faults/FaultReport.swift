// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Foundation
import Lab

/// The results of one or more runs of the fault matrix, as Markdown and JSON.
struct FaultReport: Sendable, Codable {
    var origin: Origin
    /// The lowest number of a cell that was to run.
    private(set) var first: Int?
    /// In the order of their numbers.
    private(set) var results: [Numbered] = []

    /// What the results of one report have in common.
    struct Origin: Sendable, Codable, Equatable {
        /// The seed that the cells were drawn from; `nil` if they were named.
        var seed: UInt64?
        /// The version of the source by `git describe`; `nil` if it is unknown.
        var version: String?
        var machine: String
        /// `debug` or `release`.
        var build: String
    }

    struct Numbered: Sendable, Codable {
        /// The cell's place in the draw, from 1.
        var number: Int
        var result: FaultResult
    }

    init(origin: Origin) { self.origin = origin }

    /// The number after the last one.
    var next: Int { (results.last?.number ?? 0) + 1 }

    /// Number of cells that show something.
    var counted: Int { results.count { $0.result.verdict != .missed } }

    /// The numbers before the last one that have no result: their cells were interrupted.
    var gaps: [Int] {
        guard let last = results.last?.number else { return [] }
        let known = Set(results.map(\.number))
        return ((first ?? last)...max(first ?? last, last)).filter { !known.contains($0) }
    }

    /// Whether every cell has run and counts, and no rule was broken.
    var passed: Bool {
        gaps.isEmpty && results.allSatisfy { $0.result.verdict != .missed && $0.result.verdict != .broken }
    }

    /// Notes the number of the first cell of a run.
    mutating func begin(at number: Int) { first = min(first ?? number, number) }

    /// Adds a result; it replaces one of the same number that had missed its phase.
    mutating func add(_ result: FaultResult, number: Int) {
        results.removeAll { $0.number == number && $0.result.verdict == .missed }
        results.append(Numbered(number: number, result: result))
        results.sort { $0.number < $1.number }
    }

    /// Returns whether the cell already has a result that counts.
    func has(_ number: Int) -> Bool { results.contains { $0.number == number && $0.result.verdict != .missed } }

    /// Returns the report in a folder, to which results are added, or a new one; throws if it has another origin.
    static func inFolder(_ folder: String, origin: Origin) throws -> FaultReport {
        let path = "\(folder)/faults.json"
        guard FileManager.default.fileExists(atPath: path) else { return FaultReport(origin: origin) }
        do {
            let found = try JSONDecoder().decode(FaultReport.self, from: Data(contentsOf: URL(filePath: path)))
            guard found.origin == origin else {
                throw FaultReportError.otherOrigin(path: path, found: found.origin, now: origin)
            }
            return found
        } catch let error as FaultReportError { throw error } catch {
            throw FaultReportError.unreadable(path: path, reason: "\(error)")
        }
    }

    /// Number of results of one component by verdict.
    struct Tally: Sendable, Encodable, Equatable {
        var component: FaultCell.Component
        var passed = 0
        var withOperator = 0
        var missed = 0
        var broken = 0
    }

    /// One tally for each component that was tried.
    var tallies: [Tally] {
        FaultCell.Component.allCases.compactMap { component in
            let own = results.map(\.result).filter { $0.cell.component == component }
            guard !own.isEmpty else { return nil }
            func count(_ verdict: FaultResult.Verdict) -> Int { own.count { $0.verdict == verdict } }
            return Tally(
                component: component,
                passed: count(.passed),
                withOperator: count(.passedWithOperator),
                missed: count(.missed),
                broken: count(.broken)
            )
        }
    }

    private enum CodingKeys: String, CodingKey { case origin, first, results, tallies }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        origin = try values.decode(Origin.self, forKey: .origin)
        first = try values.decodeIfPresent(Int.self, forKey: .first)
        results = try values.decode([Numbered].self, forKey: .results)
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(origin, forKey: .origin)
        try values.encodeIfPresent(first, forKey: .first)
        try values.encode(results, forKey: .results)
        try values.encode(tallies, forKey: .tallies)
    }

    func write(to folder: String) throws {
        for (name, text) in [("faults.md", markdown + "\n"), ("faults.json", try jsonText(self) + "\n")] {
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
    }
}

/// Why results cannot be added to a report.
enum FaultReportError: Error, CustomStringConvertible {
    case otherOrigin(path: String, found: FaultReport.Origin, now: FaultReport.Origin)
    case unreadable(path: String, reason: String)

    var description: String {
        switch self {
        case .otherOrigin(let path, let found, let now):
            "\(path) has results of another run (\(found.text)); this one is \(now.text). Use another folder: --report"
        case .unreadable(let path, let reason):
            "cannot read \(path): \(reason). Use another folder: --report"
        }
    }
}

extension FaultReport.Origin {
    var text: String {
        [seed.map { "seed \($0)" } ?? "named cells", version ?? "unknown version", machine, "\(build) build"]
            .joined(separator: ", ")
    }
}

extension FaultReport {
    /// For instance `97 of 100 counted`.
    var summary: String {
        let gaps = gaps.map(String.init).joined(separator: ", ")
        return "\(counted) of \(results.count) counted" + (gaps.isEmpty ? "" : "; not run: \(gaps)")
    }

    /// The table of cells, the tallies by component, and the details of what did not pass.
    var markdown: String {
        let cells = results.map { numbered in
            let result = numbered.result
            return [
                "\(numbered.number)", "`\(result.cell)`", result.verdict.rawValue,
                result.end.isEmpty ? "-" : result.end,
                "\(result.guest): \(result.outcome?.rawValue ?? "-")",
                "\(result.attempts)", Units.decimals(result.seconds, 0),
            ]
        }
        let sums = tallies.map { tally in
            [tally.component.rawValue]
                + [tally.passed, tally.withOperator, tally.missed, tally.broken].map(String.init)
        }
        var lines = ["# Fault matrix: \(results.count) cells, \(summary)", "", "Run: \(origin.text).", ""]
        lines += Self.table(["#", "cell", "verdict", "order", "VM after the fault", "tries", "s"], cells)
        lines += ["", "## By component", ""]
        lines += Self.table(["component", "passed", "operator", "missed", "broken"], sums)
        let open = results.filter { !$0.result.violations.isEmpty || $0.result.verdict == .missed }
        if !open.isEmpty { lines += ["", "## Details", ""] }
        for numbered in open {
            let reasons = (numbered.result.violations + numbered.result.notes).joined(separator: "; ")
            lines.append("- \(numbered.number) `\(numbered.result.cell)`: \(reasons)")
        }
        return lines.joined(separator: "\n")
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> [String] {
        ([header, header.map { _ in "---" }] + rows).map { row in
            "| " + row.map { $0.replacing("|", with: "\\|").replacing("\n", with: " ") }.joined(separator: " | ") + " |"
        }
    }

    /// All cells, and the reasons why other combinations are excluded.
    static var list: String {
        let possible = FaultCell.possible
        var reasons: [String: Int] = [:]
        for cell in FaultCell.combinations { if let reason = cell.exclusion { reasons[reason, default: 0] += 1 } }
        let excluded = reasons.sorted { $0.key < $1.key }.map { "  \($0.value): \($0.key)" }
        return
            (possible.map(\.description) + ["", "\(possible.count) cells. These combinations are excluded:"] + excluded)
            .joined(separator: "\n")
    }
}
