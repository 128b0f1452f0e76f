// SPDX-License-Identifier: Apache-2.0
import Controller
import Coordination
import Fleet
import HostOS
import Ledger
import TestSupport
import Testing

struct LedgerFollowerTests {
    @Test func `effects of records that were read before the ledger failed are kept`() async throws {
        let ledger = InMemoryLedger(writer: .operator)
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.caughtUp(at: .now))
        let now = Instant.now
        let order = MigrationOrder(
            id: OrderID("o1"),
            vm: VMID("vm"),
            vmName: "vm",
            source: HostName("h1"),
            target: HostName("h2"),
            channel: .ipsec,
            issuedAt: now,
            expires: now + .seconds(600),
            issuer: .operator,
            reason: "a test"
        )
        try await ledger.append(OrderRecord.migrate(order: order))
        let failure = OrderFailure(.refused, .order(.sameHost), .at(order.source))
        let report = OrderReport(order: order.id, host: order.source, at: .now, step: .failed(failure: failure))
        try await ledger.writing(as: .host(order.source)).append(report)
        var follower = LedgerFollower(LedgerWithoutSamples(inner: ledger))
        var effects: [ControllerCore.Effect] = []
        await #expect(throws: LedgerError.self) { try await follower.pull(into: &core) { effects += $0 } }
        #expect(core.orders[order.id]?.stage == .failed)
        #expect(!effects.isEmpty, "the failed order is announced")
    }
}

private struct LedgerWithoutSamples: FleetLedger {
    let inner: InMemoryLedger
    func append<Entry: LedgerEntry>(_ entry: Entry) async throws { try await inner.append(entry) }
    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        if Entry.stream == .load { throw LedgerError.stalled(path: "load", waited: .zero, mayBeWritten: false) }
        return try await inner.read(entries, from: cursor, limit: limit)
    }
}
