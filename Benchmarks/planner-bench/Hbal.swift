// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation

/// Ganeti's balancer hbal, as a baseline and to score placements.
struct Hbal {
    let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/bin/hbal")

    struct Result {
        var before: Double
        var after: Double
        var moves: Int
        var gibibytes: Double
        var seconds: Double
    }

    /// Returns hbal's score of a placement; `nil` if hbal is not installed.
    func score(_ folder: String, _ file: String) async throws -> Double? {
        guard isInstalled else { return nil }
        let output = try await run(folder, file, ["-l", "0"], seconds: 120)
        return output.split(separator: "\n").first { $0.contains("score") }
            .flatMap { $0.split(separator: " ").compactMap { Double($0) }.first }
    }

    /// Returns hbal's result for the fleet before our plan.
    func balance(_ folder: String) async throws -> Result? {
        guard isInstalled, let before = try await score(folder, "before.data") else { return nil }
        let clock = ContinuousClock()
        let start = clock.now
        let output = try await run(folder, "before.data", [], seconds: 600)
        let seconds = clock.now - start
        let text = try String(contentsOfFile: folder + "/before.data", encoding: .utf8)
        let memory = Dictionary(
            text.split(separator: "\n").filter { $0.hasPrefix("vm-") }.map { line in
                let fields = line.split(separator: "|", omittingEmptySubsequences: false)
                return (String(fields[0]), Double(fields[1]) ?? 0)
            },
            uniquingKeysWith: { first, _ in first }
        )
        // Solution lines: "  1. vm-00219 node-000 => node-015 0.13313607 a=...".
        let steps = output.split(separator: "\n").filter { $0.contains(" => ") }
            .map { $0.split(separator: " ") }
        let moved = Set(steps.compactMap { $0.count > 1 ? String($0[1]) : nil })
        let after = steps.last.flatMap { $0.compactMap { Double($0) }.last } ?? before
        return Result(
            before: before,
            after: after,
            moves: steps.count,
            gibibytes: moved.reduce(0) { $0 + (memory[$1] ?? 0) } / 1024,
            seconds: Double(seconds.components.seconds) + Double(seconds.components.attoseconds) / 1e18
        )
    }

    private func run(_ folder: String, _ file: String, _ options: [String], seconds: Int) async throws -> String {
        try await Command(
            "/usr/bin/hbal",
            ["-t", "\(folder)/\(file)", "-U", "\(folder)/load.ndynu"] + options,
            timeLimit: .seconds(seconds)
        ).run()
    }
}
