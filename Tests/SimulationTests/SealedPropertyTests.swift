// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// Sealed moves under every kind of fault, and under two that concern only them.
struct SealedPropertyTests {
    /// The seed's faults, plus reports that one reader refuses and calls that end after their agent has died.
    private func settings(seed: UInt64) -> SimulationSettings {
        var settings = Torture().settings(seed: seed)
        settings.policy.channels = [.sealed]
        settings.improvement = 200
        var random = SplitMix64(seed: seed ^ 0xfa17)
        let hosts = settings.hosts.count
        for begin in stride(from: Int64(10), to: 270, by: 10) {
            let host = random.below(hosts)
            let lasts = Int64(1 + random.below(25))
            let fault = random.below(2) == 0 ? Fault.refusedReports(host: host) : .lateCalls(host: host)
            settings.faults.append(ScheduledFault(at: .seconds(begin), lasts: .seconds(lasts), fault: fault))
            guard random.below(3) == 0 else { continue }
            let crash = Fault.agentCrash(host: host)
            let at = begin + Int64(1 + random.below(8))
            settings.faults.append(ScheduledFault(at: .seconds(at), lasts: .seconds(2), fault: crash))
        }
        return settings
    }

    @Test func `a VM ends on exactly one host under every fault`() {
        var ends: [String: Int] = [:]
        var (refusals, lateSaves) = (0, 0)
        for seed in UInt64(1)...60 {
            let world = World(settings(seed: seed))
            world.log = { if $0.contains(" refuses: ") { refusals += 1 } }
            do { try world.run() } catch { Issue.record("seed \(seed): \(error)") }
            lateSaves += world.sealed.lateSaves
            for order in Self.ends(of: world) { ends[order, default: 0] += 1 }
        }
        print("sealed moves ended: \(ends.sorted { $0.key < $1.key }), refused: \(refusals), late: \(lateSaves)")
        for way in ["done", "declined", "withdrawn", "never offered"] { #expect(ends[way, default: 0] > 0, "\(way)") }
        #expect(refusals > 20 && lateSaves > 0)
    }

    /// Returns how each order that was begun ended.
    private static func ends(of world: World) -> [String] {
        var steps: [OrderID: [OrderStep]] = [:]
        for record in world.ledger.records where record.isGenuine {
            if case .report(let report) = record.entry { steps[report.order, default: []].append(report.step) }
        }
        return steps.values.compactMap { steps in
            guard steps.contains(where: { if case .running = $0 { true } else { false } }) else { return nil }
            if steps.contains(where: { if case .done = $0 { true } else { false } }) { return "done" }
            if steps.contains(where: { if case .declined = $0 { true } else { false } }) { return "declined" }
            if steps.contains(where: { if case .withdrawn = $0 { true } else { false } }) { return "withdrawn" }
            return "never offered"
        }
    }

    @Test func `a host later reads the reports that it has refused`() throws {
        let fault = ScheduledFault(at: .milliseconds(500), lasts: .seconds(100), fault: .refusedReports(host: 1))
        var settings = SmallWorld.ring(duration: .seconds(1800), faults: [fault])
        settings.policy.channels = [.sealed]
        var refusals = 0
        for seed in UInt64(1)...5 {
            settings.seed = seed
            var world = World(settings)
            let lines = try eventLog(settings) {
                world = $0
                try $0.run(until: 1)
                try $0.order(0, to: 1, by: .sealed)
                try $0.run()
            }
            refusals += lines.count { $0.contains("h2 refuses: ") }
            #expect(!lines.contains { $0.contains("h1 refuses: ") || $0.contains("h3 refuses: ") })
            #expect(world.refused[1] == nil && world.places(of: 0).count == 1, "seed \(seed)")
            #expect(world.agents[1].core?.orders.values.allSatisfy { $0.stage.isFinal } == true, "seed \(seed)")
        }
        #expect(refusals > 0)
    }

    @Test func `a save that ends after its agent died is taken back`() throws {
        let late = ScheduledFault(at: .milliseconds(500), lasts: .seconds(100), fault: .lateCalls(host: 0))
        let crash = ScheduledFault(at: .seconds(4), lasts: .seconds(1), fault: .agentCrash(host: 0))
        var settings = SmallWorld.ring(duration: .seconds(1800), faults: [late, crash])
        settings.policy.channels = [.sealed]
        var lateSaves = 0
        for seed in UInt64(1)...10 {
            settings.seed = seed
            var world = World(settings)
            let lines = try eventLog(settings) {
                world = $0
                try $0.run(until: 1)
                try $0.order(0, to: 1, by: .sealed)
                try $0.run()
            }
            lateSaves += world.sealed.lateSaves
            #expect(world.places(of: 0) == [0], "seed \(seed): \(lines.joined(separator: "\n"))")
        }
        #expect(lateSaves > 0)
    }
}
