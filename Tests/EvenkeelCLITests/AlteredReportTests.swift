// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import TestSupport
import Foundation
import Ledger
import Testing

/// `verify` on a signed ledger in which an attacker has changed a host's report.
@Suite(.timeLimit(.minutes(2))) struct AlteredReportTests {
    private func refuse(_ site: Site, _ number: Int = 1) async throws {
        let failure = OrderFailure(.refused, .other("report \(number)"), .at(h1))
        let step = OrderStep.failed(failure: failure)
        try await site.open(.host(h1)).append(
            OrderReport(order: OrderID("o1"), host: h1, at: .now, step: step)
        )
    }

    private func order(_ site: Site) async throws {
        try await site.open(.operator).append(OrderRecord.migrate(order: .sample(at: .now)))
    }

    @Test func `verify fails for an order with an altered report, also if the order is named`() async throws {
        try await with { site in
            try await order(site)
            try await refuse(site)
            for arguments in [["verify"], ["verify", "o1"]] {
                let sound = try await site.run(arguments)
                #expect(sound.exitCode == 0, "\(sound)")
            }
            let file = URL(fileURLWithPath: "\(site.folder)/reports.000001.jsonl")
            var bytes = try Data(contentsOf: file)
            let place = try #require(bytes.range(of: Data("report 1".utf8))?.upperBound) - 1
            bytes[place] ^= 1
            try bytes.write(to: file)
            for arguments in [["verify"], ["verify", "o1"]] {
                let result = try await site.run(arguments)
                #expect(result.exitCode == 1, "\(result)")
                #expect(result.standardOutput.contains("ledger: REJECTED: reports: "), "\(result)")
                #expect(result.standardOutput.contains("its signature is invalid"), "\(result)")
            }
        }
    }

    @Test func `verify notes a record of another version, and does not reject it`() async throws {
        try await with { site in
            try await order(site)
            let step = OrderStep.notUnderstood(step: "verified")
            let report = OrderReport(order: OrderID("o9"), host: h1, at: .now, step: step)
            try await site.open(.host(h1)).append(report)
            let result = try await site.run(["verify"])
            #expect(result.exitCode == 0, "\(result)")
            #expect(result.standardOutput.contains("ledger: note: reports: "), "\(result)")
        }
    }

    @Test func `forged lines are counted and not listed one by one`() async throws {
        try await with { site in
            try await order(site)
            let forged = site.forged(.host(h1))
            for number in 0..<50 {
                let step = OrderStep.failed(failure: OrderFailure(.refused, .other("\(number)"), .at(h1)))
                try await forged.append(OrderReport(order: OrderID("o1"), host: h1, at: .now, step: step))
            }
            let result = try await site.run(["verify", "--json"])
            #expect(result.exitCode == 1)
            let view = try JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8)) as? [String: Any]
            let refusals = try #require(view?["refusals"] as? [[String: Any]])
            #expect(refusals.count == 1 && refusals.first?["count"] as? Int == 50, "\(refusals)")
        }
    }

    @Test func `control characters in members' texts neither affect the terminal nor break a command`() async throws {
        try await with { site in
            var sample = sample(h1, 1)
            sample.cpu = CPULoad(capacityCores: 1e-300, busyCores: 1)
            sample.vms = [VMSample(id: VMID("u1"), name: "web\u{1B}[2J\nroot", state: .running)]
            try await site.open(.host(h1)).append(sample)
            let status = try await site.run(["status"])
            #expect(status.exitCode == 0, "\(status)")
            #expect(status.standardOutput.contains("over 1000000 %"))
            #expect(status.standardOutput.contains("web\\u{1B}[2J\\u{A}root"))
            #expect(!status.standardOutput.contains("\u{1B}"))
        }
    }
}
