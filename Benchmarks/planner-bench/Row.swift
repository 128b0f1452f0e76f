// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation

/// One row of the benchmark: a fleet and the result of one planner.
struct Row: Encodable {
    var fleet: String
    var hosts: Int
    var vms: Int?
    var planner: String
    /// Wall-clock time in seconds; planning uses one core.
    var seconds: Double
    var peakMebibytes: Int?
    var moves: Int
    var gibibytes: Double
    var imbalanceBefore: Double?
    var imbalanceAfter: Double?
    /// `hbal`'s score of the placement after the plan.
    var scoreOfHbal: Double?
    /// Time in seconds of a second plan, after the first was applied and one load in a hundred changed.
    var secondsAgain: Double?
    var movesAgain: Int?
}

extension Row {
    init(fleet: String, planner: String, _ result: Case.Result, score: Double?) {
        self.init(
            fleet: fleet,
            hosts: result.hosts,
            vms: result.vms,
            planner: planner,
            seconds: result.seconds,
            peakMebibytes: result.peakMebibytes,
            moves: result.moves,
            gibibytes: result.gibibytes,
            imbalanceBefore: result.before.imbalance,
            imbalanceAfter: result.after.imbalance,
            scoreOfHbal: score,
            secondsAgain: result.replanSeconds,
            movesAgain: result.replanMoves
        )
    }

    static let header = line([
        "fleet", "hosts", "VMs", "planner", "seconds", "peak MiB", "moves", "GiB", "imbalance", "hbal score",
        "again: s (moves)",
    ])

    var text: String {
        let imbalance = imbalanceBefore.map { "\(Self.precise($0)) -> \(imbalanceAfter.map(Self.precise) ?? "")" }
        let again = secondsAgain.map { "\(Self.short($0)) (\(movesAgain ?? 0))" }
        return Self.line([
            fleet, String(hosts), vms.map { String($0) } ?? "", planner, Self.short(seconds),
            peakMebibytes.map { String($0) } ?? "", String(moves), Self.short(gibibytes), imbalance ?? "",
            scoreOfHbal.map(Self.precise) ?? "-", again ?? "-",
        ])
    }

    private static func line(_ cells: [String]) -> String {
        let widths = [10, 6, 7, 17, 8, 9, 6, 7, 18, 13, 16]
        return zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: max(0, width - cell.count))
        }.joined(separator: " ")
    }

    private static func short(_ value: Double) -> String { String(format: value < 10 ? "%.2f" : "%.0f", value) }
    private static func precise(_ value: Double) -> String { String(format: "%.4f", value) }
}
