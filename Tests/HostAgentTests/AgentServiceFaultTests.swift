// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Hypervisor
import Ledger
import Synchronization
import TestSupport
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(2))) struct AgentServiceFaultTests {
    private let fleet = TestFleet()
    private let order = MigrationOrder.testOrder(at: .now)

    init() { fleet.world.place(.testVM(), on: h1) }

    @Test func `a final report waits until the ledger is available again, and is written once`() async throws {
        fleet.world.script(vm, InMemoryScript(.hang))
        try await fleet.run {
            try await fleet.submit(order)
            try await eventually("the move runs") { fleet.world.isMoving(vm) }
            fleet.ledger.fail(with: .storageFull(path: "the ledger"))
            fleet.world.release(vm)
            try await eventually("the VM has arrived") { fleet.world.hostsRunning(vm) == [h2] }
            try await eventually("the agents see the outage") {
                fleet.log.contains("cannot write a report yet") && fleet.log.contains("cannot read the ledger")
            }
            fleet.ledger.fail(with: nil)
            #expect(try await fleet.end(of: order).word == "done")
            try await eventually("the agents see its end") {
                fleet.log.contains("the ledger can be read again") && fleet.log.contains("reports are written again")
            }
        }
        #expect(try await fleet.steps(of: order).count { $0.isFinal } == 1)
    }

    @Test func `the log does not claim that a VM stayed before the agent has found it`() async throws {
        fleet.world.script(vm, InMemoryScript(.loseTouch(.arrived)))
        try await fleet.run {
            try await fleet.submit(order)
            #expect(try await fleet.end(of: order).word == "done")
            try await eventually("it is logged where the VM is") { fleet.log.contains("web1 is on h2") }
        }
        #expect(fleet.log.contains("the end of the move was not seen"))
        #expect(!fleet.log.contains("cannot move"))
    }

    @Test func `a move does not begin before the ledger shows it as begun`() async throws {
        try await fleet.run(through: { UnbegunLedger(inner: $0) }) {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused)
            #expect(failure.whereabouts == .at(h1))
            #expect(failure.text == "the ledger could not be written in time, so the move was not begun")
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
        #expect(try await fleet.steps(of: order).map(\.word) == ["accepted", "prepared", "failed"])
    }

    @Test func `an order that was read before the ledger failed is followed up`() async throws {
        let gate = OrderGate()
        try await fleet.run(through: { FailingLedger(inner: $0, gate: gate) }) {
            try await eventually("both agents have caught up") { gate.followers == 2 }
            // Both are new to the agents; the read after the first one fails.
            try await fleet.submit(order)
            try await fleet.cancel(.testOrder("another", at: .now))
            gate.open()
            #expect(try await fleet.end(of: order).word == "done")
            #expect(gate.failures == 2, "the read failed once for each agent")
        }
    }

    @Test func `a source whose hypervisor does not answer refuses and gives the reason`() async throws {
        fleet.world.change(h1) { $0.answers = false }
        try await fleet.run {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused)
            #expect(failure.whereabouts == .notLooked)
            #expect(failure.text.contains("h1 does not answer"))
        }
        fleet.world.change(h1) { $0.answers = true }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `an order begun in a previous run is not begun again`() async throws {
        try await begin()
        try await fleet.run {
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .interrupted)
            #expect(failure.whereabouts == .at(h1))
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
        let words = try await fleet.steps(of: order).map(\.word)
        #expect(words == ["accepted", "prepared", "running", "asked", "answered", "failed"])
    }

    @Test func `an order that reached the hand-over in a previous run is done`() async throws {
        try await begin()
        fleet.world.place(.testVM(), on: h1, as: .pausedByMigration)
        fleet.world.place(.testVM(), on: h2)
        try await fleet.run {
            guard case .done(let outcome, _) = try await fleet.end(of: order) else {
                throw Unexpected(description: "it is not done")
            }
            #expect(outcome.note?.contains("the agent was restarted during the move") == true)
        }
        #expect(fleet.world.hostsRunning(vm) == [h2])
        #expect(try await fleet.world.hypervisor(of: h1).domains().isEmpty)
        #expect(fleet.world.violations == [])
    }

    @Test func `stopping the service cancels its move, and the next run reports the interruption`() async throws {
        fleet.world.script(vm, InMemoryScript(.hang))
        try await fleet.run {
            try await fleet.submit(order)
            try await eventually("the move runs") { fleet.world.isMoving(vm) }
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
        #expect(try await fleet.steps(of: order).last?.word == "running")
        try await fleet.run {
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .interrupted)
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test(arguments: [true, false])
    func `a VM that starts with its host starts with the host that has it after a move`(succeeds: Bool) async throws {
        var needs = VMRequirements.testVM()
        needs.startsWithHost = true
        fleet.world.place(needs, on: h1)
        if !succeeds { fleet.world.script(vm, InMemoryScript(.fail(.failed, detail: "broken pipe"))) }
        try await fleet.run {
            try await fleet.submit(order)
            #expect(try await fleet.end(of: order).word == (succeeds ? "done" : "failed"))
            try await eventually("its autostart is handed over") {
                fleet.world.hostsStarting(vm) == [succeeds ? h2 : h1]
            }
        }
    }

    @Test func `an agent that starts leaves ended orders alone`() async throws {
        try await begin()
        let failure = OrderFailure(.migration, .other("a test"), .at(h1))
        try await fleet.write(.failed(failure: failure), of: order, by: h1)
        let next = MigrationOrder.testOrder("o2", at: .now)
        try await fleet.submit(next)
        try await fleet.run {
            let end = try await fleet.end(of: next)
            #expect(end.word == "done")
        }
        #expect(try await fleet.steps(of: order).count { !$0.isOfSearch } == 4)
        #expect(fleet.world.hostsRunning(vm) == [h2])
    }

    @Test func `a previous run's gate is closed as soon as the mesh is up`() async throws {
        // The ledger is read long before the mesh is up.
        let fleet = TestFleet(charonTakes: .seconds(1))
        try await fleet.submit(order)
        try await fleet.write(.accepted(requirements: .testVM()), of: order, by: h1)
        try await fleet.write(.prepared(), of: order, by: h2)
        try await fleet.run([h2]) {
            try await eventually("it is closed") {
                fleet.rules.contains("delete element inet evenkeel pinholes_lan_ip { 192.0.2.1 }")
            }
        }
        #expect(!fleet.log.contains("pinhole"), "nothing to report")
    }

    @Test func `a log line reports a gate that stays open because its source left the mesh`()
        async throws
    {
        let (gone, order) = (HostName("h9"), MigrationOrder.testOrder(from: HostName("h9"), at: .now))
        try await fleet.submit(order)
        try await fleet.write(.accepted(requirements: .testVM()), of: order, by: gone)
        try await fleet.write(.prepared(), of: order, by: h2)
        try await fleet.run([h2]) {
            try await eventually("it is told") {
                fleet.log.contains("h2 cannot close a pinhole before its window ends")
            }
        }
        #expect(fleet.log.contains("h9 is not a peer"))
    }

    /// Leaves in the ledger the records of an agent that died during a move.
    private func begin() async throws {
        try await fleet.submit(order)
        try await fleet.write(.accepted(requirements: .testVM()), of: order, by: h1)
        try await fleet.write(.prepared(), of: order, by: h2)
        let progress = MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
        try await fleet.write(.running(progress: progress), of: order, by: h1)
    }
}

/// Refuses, once, the report that a move begins.
private struct UnbegunLedger: FleetLedger {
    let inner: InMemoryLedger
    private let refused = RefusedOnce()

    init(inner: InMemoryLedger) { self.inner = inner }

    func append<Entry: LedgerEntry>(_ entry: Entry) async throws {
        if let report = entry as? OrderReport, case .running = report.step, refused.isFirst() {
            throw LedgerError.storageFull(path: "the ledger")
        }
        try await inner.append(entry)
    }

    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        try await inner.read(entries, from: cursor, limit: limit)
    }

    private final class RefusedOnce: Sendable {
        private let count = Mutex(0)
        func isFirst() -> Bool {
            count.withLock { count in
                count += 1
                return count == 1
            }
        }
    }
}

/// Shows an agent that has caught up no order until the gate is opened; then one at a time, and the read after the
/// first fails once.
private final class FailingLedger: FleetLedger {
    private let inner: InMemoryLedger
    private let gate: OrderGate
    private let stage = Mutex(Stage.starts)
    private enum Stage { case starts, waits, fails, done }

    init(inner: InMemoryLedger, gate: OrderGate) {
        self.inner = inner
        self.gate = gate
    }

    func append<Entry: LedgerEntry>(_ entry: Entry) async throws { try await inner.append(entry) }

    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        guard Entry.stream == .orders, let cursor else {
            return try await inner.read(entries, from: cursor, limit: limit)
        }
        switch stage.withLock({ $0 }) {
        case .starts:
            stage.withLock { $0 = .waits }
            gate.count(follower: true)
            return LedgerBatch(next: cursor)
        case .waits:
            guard gate.isOpen else { return LedgerBatch(next: cursor) }
            stage.withLock { $0 = .fails }
        case .fails:
            stage.withLock { $0 = .done }
            gate.count(follower: false)
            throw LedgerError.stalled(path: "the ledger", waited: .zero, mayBeWritten: false)
        case .done: break
        }
        return try await inner.read(entries, from: cursor, limit: 1)
    }
}

private final class OrderGate: Sendable {
    private let state = Mutex((isOpen: false, followers: 0, failures: 0))
    var isOpen: Bool { state.withLock { $0.isOpen } }
    var followers: Int { state.withLock { $0.followers } }
    var failures: Int { state.withLock { $0.failures } }
    func open() { state.withLock { $0.isOpen = true } }
    func count(follower: Bool) { state.withLock { if follower { $0.followers += 1 } else { $0.failures += 1 } } }
}
