// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Foundation
import Lab
import Testing

@testable import evenkeel_lab

struct FaultReportTests {
    private static func result(_ name: String, _ verdict: FaultResult.Verdict) throws -> FaultResult {
        var result = FaultResult(cell: try #require(FaultCell(name)), guest: "vm1")
        result.verdict = verdict
        result.end = "done"
        result.outcome = .runs
        return result
    }

    private static let origin = FaultReport.Origin(seed: 5, version: "v1-3-gabc", machine: "2 cores", build: "debug")

    private static func report(_ change: (inout [FaultResult]) -> Void = { _ in }) throws -> FaultReport {
        var results = [
            try result("source-agent/kill/copying/ipsec", .passed),
            try result("source-agent/stop/moved/tls", .missed),
            try result("link/stop/switch-over/ipsec", .passedWithOperator),
            try result("storage/kill/copying/tls", .broken),
        ]
        change(&results)
        var report = FaultReport(origin: origin)
        for (number, result) in zip(1..., results) { report.add(result, number: number) }
        return report
    }

    @Test func `a missed cell does not count, and fails the run like a broken rule`() throws {
        #expect(try Self.report().summary == "3 of 4 counted")
        #expect(try !Self.report().passed)
        #expect(try !Self.report { $0.removeLast() }.passed)
        #expect(try Self.report { $0.removeAll { [.missed, .broken].contains($0.verdict) } }.passed)
    }

    @Test func `slices of a draw add up, in any order, and only missed cells are replaced`() throws {
        var report = try Self.report()
        #expect(report.next == 5)
        #expect((1...6).filter(report.has) == [1, 3, 4])
        report.add(try Self.result("source-agent/stop/moved/tls", .passed), number: 2)
        report.add(try Self.result("link/stop/copying/tls", .passed), number: 9)
        report.add(try Self.result("link/stop/begun/tls", .passed), number: 7)
        #expect(report.results.map(\.number) == [1, 2, 3, 4, 7, 9])
        #expect(report.summary == "6 of 6 counted")
    }

    @Test func `cells that were interrupted are named, and keep the run from passing`() throws {
        var report = FaultReport(origin: Self.origin)
        report.begin(at: 3)
        #expect(report.gaps.isEmpty && report.passed)
        for number in [4, 6] { report.add(try Self.result("link/stop/copying/tls", .passed), number: number) }
        #expect(report.summary == "2 of 2 counted; not run: 3, 5" && !report.passed)
        let stored = try JSONDecoder().decode(FaultReport.self, from: JSONEncoder().encode(report))
        #expect(stored.gaps == [3, 5])
        for number in [3, 5] { report.add(try Self.result("link/stop/copying/tls", .passed), number: number) }
        #expect(report.summary == "4 of 4 counted" && report.passed)
    }

    @Test func `a run skips the cells that have a result`() async throws {
        let cells = FaultCell.draw(4, seed: 1)
        let queue = FaultQueue(cells: cells, first: 1, report: try Self.report(), folder: "unused")
        // Of the report's four, the second missed its phase.
        let next = await queue.next()
        #expect(next?.number == 2 && next?.place == "1 of 1")
        #expect(await queue.next() == nil)
    }

    @Test func `results are added to a report of the same origin, and to no other`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "faults-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try FaultReport.inFolder(folder, origin: Self.origin).results.isEmpty)
        try Self.report().write(to: folder)
        let found = try FaultReport.inFolder(folder, origin: Self.origin)
        #expect(found.results.map(\.number) == [1, 2, 3, 4])
        #expect(try found.markdown == Self.report().markdown)
        for change in [
            { $0.seed = 6 }, { $0.version = "v1-4-gdef" }, { $0.version = nil }, { $0.build = "release" },
        ] as [(inout FaultReport.Origin) -> Void] {
            var other = Self.origin
            change(&other)
            #expect(throws: FaultReportError.self) { try FaultReport.inFolder(folder, origin: other) }
        }
        try Data("{".utf8).write(to: URL(filePath: "\(folder)/faults.json"))
        #expect(throws: FaultReportError.self) { try FaultReport.inFolder(folder, origin: Self.origin) }
    }

    @Test func `cells are counted by component and verdict`() throws {
        #expect(
            try Self.report().tallies == [
                .init(component: .sourceAgent, passed: 1, missed: 1),
                .init(component: .storage, broken: 1),
                .init(component: .link, withOperator: 1),
            ]
        )
    }

    @Test func `the table has a row for each cell, and details of what did not pass`() throws {
        let report = try Self.report { results in
            results[3].violations = ["vm1: a | b"]
            results[1].notes = ["the move passed moved unseen"]
        }
        let lines = report.markdown.split(separator: "\n")
        #expect(lines.contains("| 1 | `source-agent/kill/copying/ipsec` | passed | done | vm1: runs | 0 | 0 |"))
        #expect(lines.contains("| source-agent | 1 | 0 | 1 | 0 |"))
        #expect(lines.contains("- 4 `storage/kill/copying/tls`: vm1: a | b"))
        #expect(lines.contains("- 2 `source-agent/stop/moved/tls`: the move passed moved unseen"))
    }

    @Test func `the list names every cell and every reason`() {
        let list = FaultReport.list
        for cell in FaultCell.possible { #expect(list.contains("\(cell)\n")) }
        #expect(list.contains("a link does not restart"))
    }

    @Test func `a lab that another process runs ends the run at once`() {
        let other = LabError.alreadyUp(owner: "process 7", stateFolder: "/var/lib/evenkeel-lab")
        #expect(!FaultWorker.isWorthAnotherStart(after: other))
        #expect(!FaultWorker.isWorthAnotherStart(after: LabError.left(["process 7"])))
        let slow = LabError.timedOut(what: "guest vm1", after: .seconds(180), log: "")
        #expect(FaultWorker.isWorthAnotherStart(after: slow))
    }

    @Test func `an impossible or unknown cell is refused`() throws {
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--only", "link/restart/copying/ipsec"]) }
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--only", "agent"]) }
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--runs", "0"]) }
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--first", "0"]) }
        #expect(throws: (any Error).self) {
            try FaultsCommand.parse(["--first", "2", "--only", "link/stop/copying/ipsec"])
        }
        let command = try FaultsCommand.parse(["--only", "link/stop/copying/ipsec"])
        #expect(command.only == [FaultCell(.link, .stop, .copying, .ipsec)])
    }
}
