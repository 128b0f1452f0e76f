// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Ledger
import Testing

/// Unauthorised records in the ledger, and the effect of a recorded leak.
@Suite(
    .serialized,
    .enabled("a lab is not possible on this machine") {
        let missing = await HostLab.missingRequirements()
        if !missing.isEmpty { print("LedgerAttackTests are skipped: \(missing.joined(separator: "; "))") }
        return missing.isEmpty
    }
)
struct LedgerAttackTests {
    @Test(.timeLimit(.minutes(10)))
    func `forged orders move nothing, and a leak closes its channel until it is cleared`() async throws {
        try await TestLab.with(MainJobTests.quiet) { world in
            let first = try await world.order("vm1", from: "h1", to: "h2")
            _ = try await world.done(first)
            try await forgedOrders(world, repeating: first)
            try await aLeakThatIsReal(world)
        }
    }

    /// The attacker has access to the ledger's folder and the key of a host.
    private func forgedOrders(_ world: TestLab, repeating repeated: OrderID) async throws {
        let h2 = try world.host("h2")
        let folder = world.lab.site.ledgerFolder
        let orders = "\(folder)/orders.000001.jsonl"
        let key = try SigningKey(pem: String(contentsOfFile: "\(h2.identityFolder)/key.pem", encoding: .utf8))
        let roster = try MemberFolder(h2.identityFolder).roster.roster
        var madeUp = roster
        for place in madeUp.members.indices { madeUp.members[place].keys = [key.verification] }
        let forgers = [
            // In its own name without permission; in the operator's name with its own key; without any key.
            SharedLog(folder: folder, writer: .host(h2.name), security: .signed(by: key) { roster }),
            SharedLog(folder: folder, writer: .operator, security: .signed(by: key) { [madeUp] in madeUp }),
            SharedLog(folder: folder, writer: .operator, security: .unsigned),
        ]
        var forged: [OrderID] = []
        for forger in forgers {
            let order = try await world.made("vm2", from: "h1", to: "h2")
            try await forger.append(OrderRecord.migrate(order: order))
            forged.append(order.id)
        }
        // A genuine order of the operator that did move a VM: repeated, and altered.
        let lines = try String(contentsOfFile: orders, encoding: .utf8).split(separator: "\n")
        let genuine = try #require(lines.first)
        let altered = genuine.replacing("\"vmName\":\"vm1\"", with: "\"vmName\":\"vm2\"")
        #expect(altered != genuine)
        try append("\(genuine)\n\(altered)\n", to: orders)

        // The agents read orders in sequence: once they have moved vm2 by a genuine order, they have read these.
        _ = try await world.done(try await world.order("vm2", from: "h1", to: "h2"))
        _ = try await world.done(try await world.order("vm2", from: "h2", to: "h1"))
        #expect(try await world.steps().allSatisfy { !forged.contains($0.order) })
        #expect(try await world.steps().count { $0.step.isFinal && $0.order == repeated } == 1)
        try await world.expect("vm1", on: "h2")
        try await world.expect("vm2", on: "h1")
        let tally = try await world.tally().filter { $0.stream == "orders" }
        print("not counted: \(tally)")
        #expect(tally.contains { $0.kind == "notForWriter" && $0.writer == "host:h2" })
        #expect(tally.contains { $0.kind == "wrongSigner" && $0.writer == "operator" })
        #expect(tally.contains { $0.kind == "unsigned" })
        #expect(tally.contains { $0.kind == "wrongPlace" && $0.writer == "operator" })
        #expect(tally.contains { $0.kind == "altered" && $0.writer == "operator" })
        #expect(tally.reduce(0) { $0 + $1.count } == 5)
    }

    private func append(_ text: String, to path: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
    }

    private func aLeakThatIsReal(_ world: TestLab) async throws {
        let order = try await world.beginSlowMove("vm2")
        let bypass = try await world.bypass()
        defer { bypass.cancel() }
        try await world.speedUp("vm2")
        let evidence = try await world.done(order).evidence
        bypass.cancel()
        await bypass.value
        print("a bypass: \(evidence.bytesOnPath ?? 0) of \(evidence.bytesByHypervisor ?? 0) bytes in the tunnel")
        #expect(evidence.verdict == .leak)
        try await world.expect("vm2", on: "h2")

        // Closed in both directions; vm1 is at h2, too.
        for (guest, source, target) in [("vm1", "h2", "h1"), ("vm2", "h2", "h1")] {
            let failure = try await world.failure(of: try await world.order(guest, from: source, to: target))
            #expect(failure.kind == .refused && failure.text.contains("order \(order) leaked"), "\(failure.text)")
        }
        let verification = try await world.evenkeelResult("verify", order.rawValue)
        #expect(verification.exitCode == 1 && verification.standardOutput.lowercased().contains("leak"))
        let cleared = try await world.evenkeel("clear", "h2", "h1", "--reason", "a route was added by hand; it is gone")
        #expect(cleared.contains(order.rawValue))
        // Each agent reads the clearance at its next poll; until then it refuses.
        var next = try await world.order("vm2", from: "h2", to: "h1")
        try await world.poll("a move after the clearance", within: .seconds(60)) {
            if case .done = try await world.end(of: next) { return true }
            next = try await world.order("vm2", from: "h2", to: "h1")
            return false
        }
        #expect(try await world.done(next).evidence.verdict == .covered)
        try await world.expect("vm2", on: "h1")
        // The clear does not remove history.
        #expect(try await world.evenkeelResult("verify", order.rawValue).exitCode == 1)
        // The next move's evidence is sound; the earlier forged lines are still reported.
        let after = try await world.evenkeelResult("verify", next.rawValue)
        let row = after.standardOutput.split(separator: "\n").first { $0.hasPrefix(next.rawValue) }
        #expect(row?.hasSuffix("ok") == true && after.standardOutput.contains("REJECTED"), "\(after.standardOutput)")
        #expect(after.exitCode == 1)

        try await world.poll("all pairs to be up", within: .seconds(60)) {
            try await world.evenkeelResult("mesh", "status").succeeded
        }
        struct Mesh: Decodable {
            struct Pair: Decodable { var host: String }
            var pairs: [Pair]
        }
        let mesh = try await world.evenkeel("mesh", "status", "--json")
        let pairs = try JSONDecoder().decode(Mesh.self, from: Data(mesh.utf8)).pairs
        #expect(Set(pairs.map(\.host)) == ["h1", "h2"])
    }
}

extension TestLab {
    /// Routes what h1 and h2 send to each other's inner addresses around the tunnel, with the gates held open, until
    /// cancelled.
    fileprivate func bypass() async throws -> Task<Void, Never> {
        let (h1, h2) = (try host("h1"), try host("h2"))
        for (host, peer) in [(h1, h2), (h2, h1)] {
            for words in [
                [
                    "route", "add", "\(peer.innerAddress)/32", "via", peer.address, "src", host.innerAddress, "table",
                    "99",
                ],
                ["rule", "add", "to", "\(peer.innerAddress)/32", "lookup", "99", "pref", "50"],
            ] { try await host.run(Command("ip", words)) }
        }
        return Task {
            while !Task.isCancelled {
                // The agents shut the gates again every ten seconds.
                for (host, peer) in [(h1, h2), (h2, h1)] {
                    let rules = """
                        insert rule inet evenkeel output oifname != "ipsec0" ip daddr \(peer.innerAddress) accept
                        insert rule inet evenkeel input iifname != "ipsec0" ip saddr \(peer.innerAddress) accept

                        """
                    _ = try? await host.inside(Command("nft", ["-f", "-"])).result(input: rules)
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
            for (host, peer) in [(h1, h2), (h2, h1)] {
                let words = ["rule", "del", "to", "\(peer.innerAddress)/32", "lookup", "99", "pref", "50"]
                // In a separate task, as this one is cancelled.
                _ = try? await Task { try await host.inside(Command("ip", words)).result() }.value
            }
        }
    }
}
