// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import TestSupport
import Foundation
import Ledger
import Testing

/// The commands on a signed ledger.
@Suite(.timeLimit(.minutes(2))) struct LedgerCommandTests {
    @Test func `a valid ledger passes the check, and its records are counted by writer`() async throws {
        try await with { site in
            for number in 1...3 { try await site.open(.host(h1)).append(sample(h1, number)) }
            try await site.open(.host(h2)).append(sample(h2, 1))
            let result = try await site.run(["ledger", "check"])
            #expect(result.exitCode == 0, "\(result.standardError)")
            #expect(result.standardOutput.contains(/load +host:h1 +3/))
            #expect(result.standardOutput.contains("No lines rejected."))
        }
    }

    @Test func `rejected records are counted by kind and writer, and are a failure`() async throws {
        try await with { site in
            try await site.open(.host(h1)).append(sample(h1, 1))
            try await site.forged(.host(h1)).append(sample(h1, 2))
            try await site.forged(.host(h1)).append(sample(h1, 3))
            try await site.open(.host(h2)).append(sample(h1, 4))
            let expected: Set = ["load unsigned host:h1 2", "load notForWriter host:h2 1"]
            let check = try await site.run(["ledger", "check", "--json"])
            #expect(check.exitCode == 1)
            #expect(try counts(in: check, "passedOver") == expected)
            let status = try await site.run(["status", "--json"])
            #expect(status.exitCode == 0, "\(status.standardError)")
            #expect(try counts(in: status, "ledger") == expected)
            let text = try await site.run(["status"])
            #expect(text.standardOutput.contains(/unsigned +load +host:h1 +2\s/))
        }
    }

    @Test func `a host's unusable file is reported as a failure, and everything else is checked`() async throws {
        try await with { site in
            for host in [h1, h2] { try await site.open(.host(host)).append(sample(host, 1)) }
            try await site.forged(.host(h2)).append(sample(h2, 2))
            let file = "\(site.folder)/load/host%3ah1/000001.jsonl"
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
            let json = try await site.run(["ledger", "check", "--json"])
            #expect(json.exitCode == 1)
            #expect(try counts(in: json, "passedOver") == ["load unusable host:h1 1", "load unsigned host:h2 1"])
            try FileManager.default.removeItem(atPath: "\(site.folder)/load/host%3ah2")
            let text = try await site.run(["ledger", "check"])
            #expect(text.exitCode == 1 && text.standardOutput.contains(file), "\(text)")
            #expect(text.standardOutput.contains(/unusable file +load +host:h1 +1\s/))
        }
    }

    @Test func `an unusable segment hides none of those after it`() async throws {
        try await with { site in
            try await site.open(.operator).append(OrderRecord.migrate(order: .sample(at: .now)))
            let first = "\(site.folder)/orders.000001.jsonl"
            try FileManager.default.createDirectory(
                atPath: "\(site.folder)/orders.000002.jsonl",
                withIntermediateDirectories: false
            )
            // A copied record is in the wrong place.
            for number in [3, 4] {
                try FileManager.default.copyItem(atPath: first, toPath: "\(site.folder)/orders.00000\(number).jsonl")
            }
            let check = try await site.run(["ledger", "check", "--json"])
            #expect(check.exitCode == 1)
            #expect(try counts(in: check, "passedOver") == ["orders unusable - 1", "orders wrongPlace operator 2"])
        }
    }

    @Test func `a folder with too many files fails the check`() async throws {
        try await with { site in
            try await site.open(.operator).append(OrderRecord.migrate(order: .sample(at: .now)))
            for number in 0...4096 {
                #expect(FileManager.default.createFile(atPath: "\(site.folder)/x\(number)", contents: nil))
            }
            let check = try await site.run(["ledger", "check"])
            #expect(check.exitCode == 1)
            #expect(check.standardOutput.contains("\(site.folder): more than 4096 files"), "\(check)")
            #expect(check.standardOutput.contains(/orders +operator +1/))
        }
    }

    @Test func `a VM that two hosts claim is not moved until a finished move explains it`() async throws {
        try await with { site in
            let vm = VMSample(
                id: VMID("uuid-1"),
                name: "web1",
                state: .running,
                cpuCores: 1,
                vcpus: 1,
                memoryBytes: 1 << 30
            )
            func claim(_ host: HostName) async throws {
                var claim = sample(host, 1)
                claim.vms = [vm]
                try await site.open(.host(host)).append(claim)
            }
            try await claim(h1)
            try await site.open(.host(h2)).append(sample(h2, 1))
            let honest = try await site.run(["migrate", "web1", "h2", "--no-wait"])
            #expect(honest.exitCode == 0 && honest.standardOutput.contains("from h1 to h2"), "\(honest.standardError)")
            // The newest claim is not always the true one.
            try await claim(h2)
            for target in ["h1", "h2"] {
                let refused = try await site.run(["migrate", "web1", target, "--no-wait"])
                #expect(refused.exitCode == 1)
                #expect(refused.standardError.contains("web1: h1 and h2 both report that they run it"))
            }
            let order = MigrationOrder.sample(vm: vm.id, named: vm.name, from: "h2", to: "h1", at: .now)
            try await site.open(.operator).append(OrderRecord.migrate(order: order))
            let outcome = MigrationOutcome(startedAt: .now, endedAt: .now, totalSeconds: 1)
            let done = OrderStep.done(outcome: outcome, evidence: Evidence(channel: .ipsec, verdict: .covered))
            let report = OrderReport(order: order.id, host: h2, at: .now, step: done)
            try await site.open(.host(h2)).append(report)
            let back = try await site.run(["migrate", "web1", "h2", "--no-wait"])
            #expect(back.standardOutput.contains("from h1 to h2"), "\(back.standardError)")
        }
    }

    @Test func `an incomplete init is completed, and a stolen controller's key is replaced`() async throws {
        try await with { site in
            let (cluster, parent) = ("\(site.folder)-cluster", "\(site.folder)-members")
            let own = ["--folder", cluster]
            func initialise() async throws -> CommandResult {
                try await site.run(
                    ["init", "--controller", "\(parent)/controller", "--operator", "\(parent)/operator"] + own
                )
            }
            let files = FileManager.default
            let inTheWay = "\(parent)/operator/ca.pem"
            try files.createDirectory(atPath: inTheWay, withIntermediateDirectories: true)
            #expect(try await initialise().exitCode == 1)
            try files.removeItem(atPath: inTheWay)
            let second = try await initialise()
            #expect(second.exitCode == 0, "\(second.standardError)")
            for name in ["controller", "operator"] {
                #expect(files.fileExists(atPath: "\(parent)/\(name)/roster.json"))
            }
            let third = try await initialise()
            #expect(third.exitCode == 1 && third.standardError.contains("is already complete"))

            let rotate = ["certificates", "rotate", "--replace"]
            #expect(try await site.run(rotate + ["--member", "host:h1"] + own).exitCode == 64)
            let replaced = try await site.run(
                rotate + ["--member", "controller", "--output", "\(parent)/fresh"] + own
            )
            #expect(replaced.exitCode == 0, "\(replaced.standardError)")
            func key(_ name: String) throws -> VerificationKey {
                try SigningKey(pem: String(contentsOfFile: "\(parent)/\(name)/key.pem", encoding: .utf8)).verification
            }
            let published = try Data(contentsOf: URL(fileURLWithPath: "\(site.folder)/roster.json"))
            let roster = try SignedRoster(json: Array(published)).unverified()
            #expect(try roster[.controller]?.keys == [key("fresh")] && key("fresh") != key("controller"))
        }
    }

    @Test func `an operator's cancellation is signed with the operator's key`() async throws {
        try await with { site in
            try await site.open(.operator).append(OrderRecord.migrate(order: .sample(at: .now)))
            let result = try await site.run(["cancel", "o1"])
            #expect(result.exitCode == 0, "\(result.standardError)")
            let batch = try await site.open(.host(h1)).read(OrderRecord.self, from: nil)
            #expect(batch.records.count == 2 && batch.skipped.isEmpty)
        }
    }

    @Test func `an operator ends an order of a silent source with the operator's key`() async throws {
        try await with { site in
            try await site.open(.operator).append(OrderRecord.migrate(order: .sample(at: .now - .seconds(600))))
            let refused = try await site.run(["end", "o1", "--on", "h3"])
            #expect(refused.exitCode == 1 && refused.standardError.contains("from h1 to h2"), "\(refused)")
            let result = try await site.run(["end", "o1", "--on", "h2"])
            #expect(result.exitCode == 0, "\(result.standardError)")
            let batch = try await site.open(.host(h1)).read(OrderRecord.self, from: nil)
            #expect(batch.records.count == 2 && batch.skipped.isEmpty)
            let again = try await site.run(["end", "o1", "--on", "h1"])
            #expect(again.exitCode == 1 && again.standardError.contains("has already ended (done)"), "\(again)")
        }
    }

    @Test func `without the operator's key the ledger is readable, but no order is possible`() async throws {
        try await with { site in
            try await site.open(.host(h1)).append(sample(h1, 1))
            try FileManager.default.removeItem(atPath: "\(site.identity)/key.pem")
            let check = try await site.run(["ledger", "check"])
            #expect(check.exitCode == 0, "\(check.standardError)")
            let migrate = try await site.run(["migrate", "web1", "h2"])
            #expect(migrate.exitCode != 0)
        }
    }

    @Test func `without a roster no record is trusted`() async throws {
        try await with { site in
            try FileManager.default.removeItem(atPath: "\(site.identity)/roster.json")
            let check = try await site.run(["ledger", "check"])
            #expect(check.exitCode == 1 && check.standardError.contains("\(site.identity)/roster.json"))
        }
    }

    @Test func `accepting a rolled-back log removes the marks of the named writer`() async throws {
        try await with { site in
            let marks = "\(site.folder).marks"
            let log = SharedLog(
                folder: site.folder,
                writer: .host(h1),
                security: site.security(of: .host(h1)),
                marks: LedgerMarks(path: marks)
            )
            try await log.append(sample(h1, 1))
            #expect(FileManager.default.fileExists(atPath: marks))
            let arguments = ["ledger", "accept", "host:h1", "--set", "ledger.marks=\(marks)"]
            let result = try await site.run(arguments)
            #expect(result.exitCode == 0, "\(result.standardError)")
            #expect(!FileManager.default.fileExists(atPath: marks))
            let again = try await site.run(arguments)
            #expect(again.exitCode != 0 && again.standardError.contains("has no marks in \(marks)"))
        }
    }

    private func counts(in result: CommandResult, _ key: String) throws -> Set<String> {
        let json = try JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8)) as? [String: Any]
        let entries = try #require(json?[key] as? [[String: Any]], "\(result.standardOutput)")
        return Set(
            entries.map { "\($0["stream"] ?? "?") \($0["kind"] ?? "?") \($0["writer"] ?? "-") \($0["count"] ?? 0)" }
        )
    }
}
