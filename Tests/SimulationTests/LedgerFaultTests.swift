// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

@testable import Simulation

/// A ledger with unauthorised records, or with lost ones.
struct LedgerFaultTests {
    private func world(
        _ fault: Fault,
        seed: UInt64 = 1,
        lasts: Duration = .seconds(60),
        _ adjust: (inout SimulationSettings) -> Void = { _ in }
    ) throws -> (world: World, lines: [String]) {
        let fault = ScheduledFault(at: .milliseconds(500), lasts: lasts, fault: fault)
        var settings = SmallWorld.ring(duration: .seconds(3600), faults: [fault])
        settings.seed = seed
        settings.physics.ledgerDelay = 50...1500
        adjust(&settings)
        var world = World(settings)
        let lines = try eventLog(settings) {
            world = $0
            try $0.run(until: 1)
            try $0.order(0, to: 1)
            try $0.run()
        }
        return (world, lines)
    }

    @Test func `forged records are refused and change nothing`() throws {
        // The third host's key is used; the order is between the first and the second.
        let (world, lines) = try world(.forgery(host: 2))
        #expect(world.ledger.refused > 20)
        #expect(world.invariants.asked.count == 1)
        #expect(world.controller?.orders.keys.allSatisfy { !$0.rawValue.contains("forged") } == true)
        #expect(world.agents.allSatisfy { $0.core?.orders.keys.allSatisfy { !$0.rawValue.contains("forged") } == true })
        #expect(!lines.contains { $0.contains("order forged") && !$0.contains("h3: ") }, "no agent takes one up")
        #expect(world.incarnation(OrderID("order-1"))?.stage == .done)
        #expect(world.measures.migrations == 1)
    }

    @Test func `without forgeries nothing is refused`() throws {
        #expect(try world(.lie(host: 2)).world.ledger.refused == 0)
    }

    @Test func `records in another node's name are not admitted`() {
        let hosts = [HostName("h1"), HostName("h2")]
        var ledger = SimulatedLedger(hosts: 2, samplesKept: 0)
        let instant = Instant(milliseconds: 0)
        let report = SimulatedLedger.Entry.report(
            OrderReport(order: OrderID("o"), host: hosts[0], at: instant, step: .prepared())
        )
        func admits(_ writer: World.Node, _ entry: SimulatedLedger.Entry, isGenuine: Bool = true) -> Bool {
            ledger.admits(
                SimulatedLedger.Record(
                    at: 0,
                    signedAt: Instant(milliseconds: 0),
                    writer: writer,
                    entry: entry,
                    isGenuine: isGenuine
                ),
                hosts: hosts
            )
        }
        #expect(admits(.agent(0), report))
        #expect(!admits(.agent(1), report))
        #expect(!admits(.controller, report))
        #expect(!admits(.agent(0), report, isGenuine: false))
        let order = SimulatedLedger.Entry.order(.cancel(id: OrderID("o"), at: instant, reason: "test"))
        #expect(admits(.controller, order))
        #expect(!admits(.agent(0), order))
        #expect(!admits(.controller, order, isGenuine: false))
        #expect(ledger.refused == 5)
    }

    @Test func `records that are read twice take effect once`() throws {
        for seed in UInt64(1)...5 {
            let (world, lines) = try world(.ledgerDuplicates, seed: seed)
            #expect(world.invariants.begunOrders == 1 && world.measures.migrations == 1, "seed \(seed)")
            #expect(lines.count { $0.contains("order order-1 accepted") } == 1, "seed \(seed)")
            #expect(lines.count { $0.contains("order order-1 done") } == 1, "seed \(seed)")
            #expect(world.places(of: 0) == [1], "seed \(seed)")
        }
    }

    @Test func `an order that is written again is not executed again`() throws {
        let (world, _) = try world(.forgery(host: 2), lasts: .seconds(300))
        #expect(
            world.ledger.records.count {
                if case .order(.migrate(let order)) = $0.entry { order.id == OrderID("order-1") } else { false }
            } > 30
        )
        #expect(world.invariants.begunOrders == 1)
    }

    @Test func `the fleet survives a lost report`() throws {
        var lost = 0
        for seed in UInt64(1)...12 {
            // Without samples, the lost record is a report.
            let (world, lines) = try world(.ledgerLoss, seed: seed) { $0.sampleInterval = .seconds(7200) }
            guard lines.contains(where: { $0.hasSuffix("a record is lost") }) else { continue }
            lost += 1
            #expect(world.incarnation(OrderID("order-1"))?.stage.isFinal == true, "seed \(seed)")
            #expect(world.places(of: 0).count == 1, "seed \(seed)")
        }
        #expect(lost > 2)
    }
}
