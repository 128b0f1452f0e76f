// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import TestSupport
import Foundation
import Ledger
import Testing

/// The operator's commands while the roster in the ledger's folder changes.
@Suite(.timeLimit(.minutes(2))) struct RosterUpdateTests {
    /// Roster 2: h1 was removed before it wrote anything.
    private func withoutH1(_ site: Site) -> Roster {
        var next = site.roster
        next.number = 2
        let ends = Dictionary(
            uniqueKeysWithValues: LedgerStream.allCases.map { ($0.rawValue, Cursor(segment: 1, offset: 0)) }
        )
        for index in next.members.indices where next.members[index].name == .host(h1) {
            next.members[index].revocation = Roster.Revocation(at: .now, reason: "stolen", ends: ends)
        }
        return next
    }

    @Test func `an old roster in the ledger's folder is reported and ignored`() async throws {
        try await with { site in
            let failure = OrderFailure(.refused, .order(.sameHost), .at(h1))
            let report = OrderReport(order: OrderID("o1"), host: h1, at: .now, step: .failed(failure: failure))
            try await site.open(.host(h1)).append(report)
            try site.publish(withoutH1(site))
            let first = try await site.run(["ledger", "check"])
            #expect(first.exitCode == 1 && first.standardOutput.contains("writer revoked"), "\(first)")
            try site.publish(site.roster)
            for command in [["ledger", "check"], ["status"], ["verify"]] {
                let result = try await site.run(command)
                #expect(result.standardError.contains("number 1, but number 2 was seen"), "\(result)")
                if command != ["verify"] { #expect(result.standardOutput.contains("writer revoked"), "\(result)") }
            }
        }
    }

    @Test func `an order for a removed host is refused with the removal time and the next step`() async throws {
        try await with { site in
            var moving = sample(h2, 1)
            moving.vms = [VMSample(id: VMID("uuid-1"), name: "web1", state: .running)]
            try await site.open(.host(h2)).append(moving)
            try await site.open(.host(h1)).append(sample(h1, 1))
            #expect(try await site.run(["migrate", "web1", "h1", "--no-wait"]).exitCode == 0)
            let roster = withoutH1(site)
            try site.publish(roster)
            let refused = try await site.run(["migrate", "web1", "h1", "--no-wait"])
            let since = try #require(roster.removedHosts[h1]).readable
            #expect(refused.exitCode == 1)
            #expect(refused.standardError.contains("h1 was removed from the cluster on \(since)"), "\(refused)")
            #expect(refused.standardError.contains("'evenkeel host add h1 "), "\(refused)")
        }
    }

    @Test func `verify fails on a certificate that the roster did not list at that time`() async throws {
        try await with { site in
            let now = Instant.now
            let order = MigrationOrder.sample(at: now)
            try await site.open(.operator).append(OrderRecord.migrate(order: order))
            var evidence = Evidence.sound(at: now)
            let certificate = CertificateFacts(
                subject: "CN=h2",
                issuer: "CN=ca",
                fingerprint: "ab",
                expires: now + .seconds(3600)
            )
            evidence.proof = .tunnel(association: .sample, counters: nil, certificate: certificate)
            for report in order.reports(of: evidence, at: now) {
                try await site.open(.host(report.host)).append(report)
            }
            var number: UInt64 = 1
            func verified(_ fingerprint: String, ended: Instant? = nil) async throws -> CommandResult {
                var next = site.roster
                number += 1
                next.number = number
                let index = try #require(next.members.firstIndex { $0.name == .host(h2) })
                next.members[index].issued = [
                    IssuedCertificate(
                        fingerprint: fingerprint,
                        authority: "ca",
                        issuedAt: now - .seconds(1000),
                        expires: now + .seconds(3600),
                        endedAt: ended
                    )
                ]
                try? FileManager.default.removeItem(atPath: "\(site.identity)/roster.json")
                try site.publish(next, also: "\(site.identity)/roster.json")
                return try await site.run(["verify"])
            }
            let sound = try await verified("ab")
            #expect(sound.exitCode == 0, "\(sound)")
            let foreign = try await verified("cd")
            #expect(
                foreign.exitCode == 1 && foreign.standardOutput.contains("the cluster never issued the certificate"),
                "\(foreign)"
            )
            let revoked = try await verified("ab", ended: now - .seconds(500))
            #expect(
                revoked.exitCode == 1 && revoked.standardOutput.contains("was revoked before the move"),
                "\(revoked)"
            )
        }
    }

    @Test func `a roster replaced by a link or a FIFO is neither followed nor waited for`() async throws {
        try await with { site in
            try await site.open(.host(h1)).append(sample(h1, 1))
            let path = "\(site.folder)/roster.json"
            #expect(mkfifo(path, 0o600) == 0)
            var result = try await site.run(["ledger", "check"])
            #expect(result.exitCode == 0 && result.standardError.contains("not a regular file"), "\(result)")
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/zero")
            result = try await site.run(["ledger", "check"])
            #expect(result.exitCode == 0 && result.standardError.contains("warning: "), "\(result)")
        }
    }
}
