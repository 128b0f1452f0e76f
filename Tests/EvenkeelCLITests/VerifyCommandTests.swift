// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import TestSupport
import Foundation
import Ledger
import Testing

/// `clear`, `verify` and `status` on a ledger in which a move has leaked.
struct VerifyCommandTests {
    private static let leak = Evidence(
        channel: .ipsec,
        bytesOnPath: 1000,
        bytesByHypervisor: 90_000,
        verdict: .leak
    )

    /// Runs a command on a ledger with a move from h1 to h2.
    private func onLedger(
        _ evidence: Evidence = leak,
        _ body: (_ evenkeel: ([String]) async throws -> CommandResult) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("clear-\(UUID().uuidString)")
        try await SharedLog.create(folder: folder.path)
        defer { try? FileManager.default.removeItem(at: folder) }
        let now = Instant.now
        let order = MigrationOrder.sample(at: now)
        try await SharedLog(folder: folder.path, writer: .operator, security: .unsigned).append(
            OrderRecord.migrate(order: order)
        )
        for report in order.reports(of: evidence, at: now) {
            try await SharedLog(folder: folder.path, writer: .host(report.host), security: .unsigned).append(report)
        }
        let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        try await body { arguments in
            try await Command(
                products.appendingPathComponent("evenkeel").path,
                arguments + ["--ledger", folder.path, "--set", "ledger.unsigned=true"],
                timeLimit: .seconds(60)
            ).result()
        }
    }

    @Test func `clear opens a channel once after a leak and reports the leak`() async throws {
        try await onLedger { evenkeel in
            let closed = try await evenkeel(["status"])
            #expect(closed.standardOutput.contains("CLOSED CHANNEL"))
            #expect(closed.standardOutput.contains("ipsec           h1 and h2"))
            for wrong in [["h1", "h3"], ["h1", "h2", "--channel", "tls"]] {
                let refused = try await evenkeel(["clear"] + wrong + ["--reason", "x"])
                #expect(!refused.succeeded && refused.standardError.contains("closed between"))
            }
            let withoutReason = try await evenkeel(["clear", "h1", "h2"])
            #expect(!withoutReason.succeeded && withoutReason.standardError.contains("--reason"))
            let cleared = try await evenkeel(["clear", "h2", "h1", "--reason", "a route was wrong"])
            #expect(
                cleared.standardOutput == "ipsec between h1 and h2: reopened (was closed by the leak of o1)\n",
                "\(cleared.standardError)"
            )
            #expect(try await !evenkeel(["status"]).standardOutput.contains("CLOSED CHANNEL"))
            let again = try await evenkeel(["clear", "h1", "h2", "--reason", "again"])
            #expect(!again.succeeded && again.standardError.contains("No channel is closed between h1 and h2"))
        }
    }

    @Test func `verify fails on a leak and names it`() async throws {
        try await onLedger { evenkeel in
            for order in [[], ["o1"]] {
                let result = try await evenkeel(["verify"] + order)
                #expect(result.exitCode == 1, "\(result)")
                #expect(result.standardOutput.contains("o1: FAILED: LEAK: 1000 of 90000 bytes used the path"))
            }
            let unknown = try await evenkeel(["verify", "o2"])
            #expect(unknown.exitCode == 64 && unknown.standardError.contains("no order 'o2'"))
            let json = try await evenkeel(["verify", "--json"])
            let view = try JSONSerialization.jsonObject(with: Data(json.standardOutput.utf8)) as? [String: Any]
            let moves = try #require(view?["moves"] as? [[String: Any]])
            #expect(view?["failed"] as? Bool == true && moves.count == 1)
            let findings = try #require(moves.first?["findings"] as? [[String: String]])
            #expect(findings.first { $0["severity"] == "failure" }?["code"] == "leak")
        }
    }

    @Test func `verify accepts sound evidence`() async throws {
        var sound = Evidence.sound(at: .now)
        try await onLedger(sound) { evenkeel in
            let result = try await evenkeel(["verify"])
            #expect(result.succeeded && result.standardOutput.contains("covered   ok"), "\(result)")
        }
        // Without a probe the move is neither failed nor proven.
        sound.probes = []
        try await onLedger(sound) { evenkeel in
            let result = try await evenkeel(["verify"])
            #expect(result.exitCode == 1 && result.standardOutput.contains("covered   unproven"), "\(result)")
            #expect(result.standardOutput.contains("o1: UNPROVEN: no probe tried the target's ports"))
        }
    }
}
