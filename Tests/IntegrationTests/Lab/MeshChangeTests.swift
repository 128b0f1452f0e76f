// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Ledger
import Testing

/// Changes of the mesh during a move.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("MeshChangeTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct MeshChangeTests {
    @Test(.timeLimit(.minutes(10)))
    func `new keys, new certificates and a removed host interrupt no move`() async throws {
        try await TestLab.with(AttackTests.three) { world in
            try await rekeying(world)
            try await renewedCertificates(world)
            try await aRemovedHost(world)
        }
    }

    private func rekeying(_ world: TestLab) async throws {
        let (h1, h2) = (try world.host("h1"), try world.host("h2"))
        let order = try await world.beginSlowMove()
        for _ in 1...3 {
            for (host, peer) in [(h1, "evenkeel-h2"), (h2, "evenkeel-h1")] {
                for kind in ["--child", "--ike"] {
                    try await host.run(Command("swanctl", ["--rekey", kind, peer, "--uri", host.viciURI]))
                    try await Task.sleep(for: .milliseconds(1500))
                }
            }
        }
        try await world.speedUp()
        let (outcome, evidence) = try await world.done(order)
        #expect(evidence.verdict == .covered)
        // The last SA is another one than the first: its count began at zero.
        #expect(evidence.proof.counters?.before == TrafficCounters(bytes: 0, packets: 0))
        #expect(try #require(outcome.totalSeconds) > 18, "the move was under way all the time")
    }

    private func renewedCertificates(_ world: TestLab) async throws {
        let before = try await world.serials()
        let order = try await world.beginSlowMove("vm2")
        try await world.evenkeel("certificates", "rotate", "--folder", world.lab.site.clusterFolder)
        try await world.poll("both hosts to have new certificates", within: .seconds(50)) {
            let now = try await world.serials()
            return now["h1"] != before["h1"] && now["h2"] != before["h2"]
        }
        #expect(try await world.steps().allSatisfy { $0.order != order || !$0.step.isFinal }, "it is under way")
        try await world.speedUp("vm2")
        let (_, evidence) = try await world.done(order)
        #expect(evidence.verdict == .covered)
        // The next move uses the new certificates.
        let next = try await world.order("vm2", from: "h2", to: "h1")
        #expect(try await world.done(next).evidence.verdict == .covered)
    }

    private func aRemovedHost(_ world: TestLab) async throws {
        let h3 = try world.host("h3")
        // h3 as a host that ignores the administrator's roster.
        let identity = try MemberFolder(h3.identityFolder)
        let key = try SigningKey(pem: String(contentsOfFile: "\(h3.identityFolder)/key.pem", encoding: .utf8))
        let roster = identity.roster.roster
        let rogue = SharedLog(
            folder: world.lab.site.ledgerFolder,
            writer: .host(h3.name),
            security: .signed(by: key) { roster }
        )
        let order = try await world.beginSlowMove("vm2")
        try await world.evenkeel("host", "remove", "h3", "--folder", world.lab.site.clusterFolder)
        for name in ["h1", "h2"] {
            let host = try world.host(name)
            try await world.poll("\(name) to end its tunnel to h3", within: .seconds(40)) {
                let list = try await host.run(Command("swanctl", ["--list-sas", "--uri", host.viciURI]))
                return !list.contains("evenkeel-h3") && list.contains(name == "h1" ? "evenkeel-h2" : "evenkeel-h1")
            }
        }
        #expect(try await world.steps().allSatisfy { $0.order != order || !$0.step.isFinal }, "it is under way")
        try await world.speedUp("vm2")
        let (_, evidence) = try await world.done(order)
        #expect(evidence.verdict == .covered)

        let refused = try await world.failure(of: try await world.order("vm2", from: "h2", to: "h3"))
        print("an order to a removed host: \(refused.kind): \(refused.reason)")
        #expect([.refused, .escort].contains(refused.kind))
        try await world.expect("vm2", on: "h2")
        try await rogue.append(OrderReport(order: order, host: h3.name, at: .now, step: .prepared()))
        let tally = try await world.tally()
        #expect(tally.contains { $0.kind == "revoked" && $0.writer == "host:h3" && $0.stream == "reports" })
    }
}

extension TestLab {
    /// Returns each host's certificate as a fingerprint.
    fileprivate func serials() async throws -> [String: String] {
        var serials: [String: String] = [:]
        for host in lab.hosts {
            let words = ["x509", "-noout", "-serial", "-in", "\(host.identityFolder)/certificate.pem"]
            serials[host.name.rawValue] = try await Command("openssl", words).run()
        }
        return serials
    }
}
