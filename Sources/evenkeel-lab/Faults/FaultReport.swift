// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Foundation
import Lab

/// The results of a run of the fault matrix, as Markdown and JSON.
struct FaultReport: Sendable, Encodable {
    /// The seed that the cells were drawn from; `nil` if they were named.
    var seed: UInt64?
    var results: [FaultResult] = []

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
            let own = results.filter { $0.cell.component == component }
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

    private enum CodingKeys: String, CodingKey { case seed, results, tallies }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encodeIfPresent(seed, forKey: .seed)
        try values.encode(results, forKey: .results)
        try values.encode(tallies, forKey: .tallies)
    }

    func write(to folder: String) throws {
        for (name, text) in [("faults.md", markdown + "\n"), ("faults.json", try jsonText(self) + "\n")] {
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
        }
    }
}

extension FaultReport {
    /// The table of cells, the tallies by component, and the details of what did not pass.
    var markdown: String {
        let origin = seed.map { "seed \($0)" } ?? "named cells"
        let cells = results.enumerated().map { number, result in
            [
                "\(number + 1)", "`\(result.cell)`", result.verdict.rawValue,
                result.end.isEmpty ? "-" : result.end,
                "\(result.guest): \(result.outcome?.rawValue ?? "-")",
                "\(result.attempts)", Units.decimals(result.seconds, 0),
            ]
        }
        let sums = tallies.map { tally in
            [tally.component.rawValue]
                + [tally.passed, tally.withOperator, tally.missed, tally.broken].map(String.init)
        }
        var lines = ["# Fault matrix: \(results.count) cells, \(origin)", ""]
        lines += Self.table(["#", "cell", "verdict", "order", "VM after the fault", "tries", "s"], cells)
        lines += ["", "## By component", ""]
        lines += Self.table(["component", "passed", "operator", "missed", "broken"], sums)
        let open = results.filter { !$0.violations.isEmpty || $0.verdict == .missed }
        if !open.isEmpty { lines += ["", "## Details", ""] }
        for result in open {
            lines.append("- `\(result.cell)`: \((result.violations + result.notes).joined(separator: "; "))")
        }
        return lines.joined(separator: "\n")
    }

    private static func table(_ header: [String], _ rows: [[String]]) -> [String] {
        ([header, header.map { _ in "---" }] + rows).map { row in
            "| " + row.map { $0.replacing("|", with: "\\|").replacing("\n", with: " ") }.joined(separator: " | ") + " |"
        }
    }

    /// All cells, and the reasons why other combinations are none.
    static var list: String {
        let possible = FaultCell.possible
        var reasons: [String: Int] = [:]
        for cell in FaultCell.combinations { if let reason = cell.exclusion { reasons[reason, default: 0] += 1 } }
        let excluded = reasons.sorted { $0.key < $1.key }.map { "  \($0.value) combinations: \($0.key)" }
        return (possible.map(\.description) + ["", "\(possible.count) cells. These are none:"] + excluded)
            .joined(separator: "\n")
    }
}
