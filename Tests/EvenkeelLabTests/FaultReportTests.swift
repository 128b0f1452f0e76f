// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
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

    private static func report() throws -> FaultReport {
        FaultReport(
            seed: 5,
            results: [
                try result("source-agent/kill/copying/ipsec", .passed),
                try result("source-agent/stop/moved/tls", .missed),
                try result("link/stop/switch-over/ipsec", .passedWithOperator),
                try result("storage/kill/copying/tls", .broken),
            ]
        )
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
        var report = try Self.report()
        report.results[3].violations = ["vm1: a | b"]
        report.results[1].notes = ["the move passed moved unseen"]
        let lines = report.markdown.split(separator: "\n")
        #expect(lines.contains("| 1 | `source-agent/kill/copying/ipsec` | passed | done | vm1: runs | 0 | 0 |"))
        #expect(lines.contains("| source-agent | 1 | 0 | 1 | 0 |"))
        #expect(lines.contains("- `storage/kill/copying/tls`: vm1: a | b"))
        #expect(lines.contains("- `source-agent/stop/moved/tls`: the move passed moved unseen"))
    }

    @Test func `the list names every cell and every reason`() {
        let list = FaultReport.list
        for cell in FaultCell.possible { #expect(list.contains("\(cell)\n")) }
        #expect(list.contains("a link does not restart"))
    }

    @Test func `a lab that another process runs ends the run at once`() {
        let other = LabError.alreadyUp(owner: "process 7", stateFolder: "/var/lib/evenkeel-lab")
        #expect(!FaultMatrix.isWorthAnotherStart(after: other))
        #expect(!FaultMatrix.isWorthAnotherStart(after: LabError.left(["process 7"])))
        let slow = LabError.timedOut(what: "guest vm1", after: .seconds(180), log: "")
        #expect(FaultMatrix.isWorthAnotherStart(after: slow))
    }

    @Test func `an impossible or unknown cell is refused`() throws {
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--only", "link/restart/copying/ipsec"]) }
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--only", "agent"]) }
        #expect(throws: (any Error).self) { try FaultsCommand.parse(["--runs", "0"]) }
        let command = try FaultsCommand.parse(["--only", "link/stop/copying/ipsec"])
        #expect(command.only == [FaultCell(.link, .stop, .copying, .ipsec)])
    }
}
