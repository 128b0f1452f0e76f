// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Hypervisor
import Ledger
import Settings
import Synchronization
import TestSupport
import Testing

@testable import HostAgent

@Suite(.timeLimit(.minutes(2))) struct AgentServiceTests {
    private let fleet = TestFleet()
    private let order = MigrationOrder.testOrder(at: .now)

    init() { fleet.world.place(.testVM(), on: h1) }

    @Test func `two agents move a VM, and the ledger shows each step`() async throws {
        try await fleet.run {
            try await fleet.submit(order)
            let end = try await fleet.end(of: order)
            guard case .done(let outcome, let evidence) = end else { throw Unexpected(description: "\(end)") }
            #expect(outcome.bytesTransferred == 1 << 20)
            #expect(evidence.verdict == .unprotected)
            #expect(evidence.bytesByHypervisor == 1 << 20)
            #expect(evidence.probes.allSatisfy { $0.seconds ?? -1 >= 0 }, "the duration of the probes is reported")
        }
        let reports = try await fleet.ledger.read(OrderReport.self, from: nil).records.map(\.body)
        #expect(
            reports.allSatisfy { ($0.gateSeconds != nil) == ($0.step == .prepared()) },
            "what the gates took is told with the consent"
        )
        var words = try await fleet.steps(of: order).map(\.word)
        // While it runs, there may be several progress reports.
        words = words.enumerated().filter { $0 == 0 || words[$0 - 1] != $1 }.map(\.element)
        #expect(words == ["accepted", "prepared", "running", "asked", "answered", "done"])
        #expect(fleet.world.hostsRunning(vm) == [h2])
        #expect(fleet.world.violations == [])
    }

    @Test func `a VM that cannot move is refused with the reason that its samples state`() async throws {
        let reason = PreflightFailure.Reason.hypervisor(.hostDevice("pci"))
        fleet.world.change(h1) { $0.blockers[vm] = [.hostDevice("pci")] }
        try await fleet.run {
            try await eventually("a sample states it") {
                try await fleet.ledger.read(LoadSample.self, from: nil).records.contains { record in
                    record.body.vms?.contains { $0.cannotMove?.reasons == [reason] } == true
                }
            }
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused && failure.preflight.map(\.reason) == [reason])
            #expect(failure.preflight.map(\.host) == [h1])
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `VMs move concurrently in both directions, and one after the other on one path`() async throws {
        let another = MigrationOrder.testOrder("o2", vm: VMID("another"), from: h2, to: h1, at: .now)
        let third = MigrationOrder.testOrder("o3", vm: VMID("third"), at: .now)
        fleet.world.place(.testVM(another.vm, name: "web2"), on: h2)
        fleet.world.place(.testVM(third.vm, name: "web3"), on: h1)
        for vm in [vm, another.vm] { fleet.world.script(vm, InMemoryScript(.hang)) }
        try await fleet.run {
            try await fleet.submit(order)
            try await fleet.submit(another)
            try await eventually("both move") { fleet.world.isMoving(vm) && fleet.world.isMoving(another.vm) }
            // Two moves on one path would vouch for each other, also in the clear.
            try await fleet.submit(third)
            for vm in [another.vm, vm] { fleet.world.release(vm) }
            for order in [order, another, third] {
                let end = try await fleet.end(of: order)
                #expect(end.word == "done")
            }
        }
        let words = try await fleet.ledger.read(OrderReport.self, from: nil).records
            .map { "\($0.body.order) \($0.body.step.word)" }
        let end = try #require(words.firstIndex(of: "\(order.id) done"))
        let beginning = try #require(words.firstIndex(of: "o3 accepted"))
        #expect(end < beginning, "it waited")
        #expect(fleet.world.hostsRunning(vm) == [h2] && fleet.world.hostsRunning(another.vm) == [h1])
    }

    @Test func `a second order for a moving VM is refused`() async throws {
        fleet.world.script(vm, InMemoryScript(.hang))
        let second = MigrationOrder.testOrder("o2", at: .now)
        try await fleet.run {
            try await fleet.submit(order)
            try await eventually("the move runs") { fleet.world.isMoving(vm) }
            try await fleet.submit(second)
            let failure = try await fleet.failure(of: second)
            #expect(failure.kind == .refused)
            #expect(failure.text == "order o1 is already moving the VM")
            fleet.world.release(vm)
            let end = try await fleet.end(of: order)
            #expect(end.word == "done")
        }
    }

    @Test func `each agent samples its own host, from the second reading on`() async throws {
        try await fleet.run {
            try await eventually("both hosts have two samples") {
                let records = try await fleet.ledger.read(LoadSample.self, from: nil).records
                return [h1, h2].allSatisfy { host in records.count { $0.writer == .host(host) } >= 2 }
            }
        }
        for record in try await fleet.ledger.read(LoadSample.self, from: nil).records {
            #expect(record.writer == .host(record.body.host))
            #expect(record.body.cpu != nil)
            #expect(record.body.intervalSeconds != nil)
            #expect(record.body.vms?.map(\.id) == (record.body.host == h1 ? [vm] : []))
        }
    }

    @Test func `without a protected path nothing moves`() async throws {
        let order = MigrationOrder.testOrder(channel: .ipsec, issuer: .controller, at: .now)
        try await fleet.run {
            try await fleet.waitForGates(of: h1)
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .escort)
            #expect(failure.whereabouts == .at(h1))
            #expect(failure.text.contains("no protected path to h2, so web1 stays on h1"))
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test(arguments: [GateProbe.Outcome.open, .unknown])
    func `a move is refused if the peer's gates are not shut, except in the clear`(
        _ outcome: GateProbe.Outcome
    ) async throws {
        let order = MigrationOrder.testOrder(channel: .ipsec, at: .now)
        let clear = MigrationOrder.testOrder("o2", at: .now)
        let fleet = TestFleet(world: fleet.world, gates: outcome)
        try await fleet.run {
            try await fleet.waitForGates(of: h1)
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused && failure.preflight.map(\.check) == [.escort])
            #expect(failure.preflight.map(\.host) == [h1] && failure.evidence == nil)
            #expect(failure.text.contains("port 49152 of h2"), "\(failure.text)")
            #expect(try await fleet.steps(of: order).map(\.word) == ["failed"])
            #expect(fleet.world.hostsRunning(vm) == [h1])

            try await fleet.submit(clear)
            guard case .done(_, let evidence) = try await fleet.end(of: clear) else {
                throw Unexpected(description: "\(try await fleet.steps(of: clear))")
            }
            #expect(evidence.probes.map(\.outcome) == [outcome, outcome])
        }
        #expect(fleet.world.hostsRunning(vm) == [h2])
    }

    @Test func `gates that are shut a moment later do not cause a refusal`() async throws {
        let order = MigrationOrder.testOrder(channel: .ipsec, at: .now)
        let probes = ProbeCount()
        // Two for each check.
        let fleet = TestFleet(
            world: fleet.world,
            gates: probes.next() > 4 ? .shut : .open
        )
        try await fleet.run {
            try await fleet.waitForGates(of: h1)
            try await fleet.submit(order)
            // The final failure is that there are no tunnels here.
            #expect(try await fleet.failure(of: order).kind == .escort)
            #expect(probes.next() == 7)
        }
    }

    @Test(arguments: [(h1, "by the source"), (h2, "by the target")])
    func `a move in the clear is refused where it is not allowed`(_ strict: HostName, _: String) async throws {
        try await fleet.run(settings: { .sample(allowPlain: $0 != strict) }) {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused)
            #expect(failure.preflight.map(\.check) == [.escort])
            #expect(failure.preflight.map(\.host) == [strict])
            #expect(failure.whereabouts == .at(h1))
            #expect(failure.text.contains("escort.allow_plain"))
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `a controller cannot order a move in the clear`() async throws {
        let order = MigrationOrder.testOrder(issuer: .controller, at: .now)
        try await fleet.run {
            try await fleet.submit(order)
            #expect(try await fleet.failure(of: order).kind == .refused)
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `a target that lacks something refuses, and the source does not begin`() async throws {
        let missing = PreflightFailure(check: .cpu, host: h2, reason: .other("it has no avx2"))
        fleet.world.change(h2) { $0.unmet = [missing] }
        try await fleet.run {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused)
            #expect(failure.preflight == [missing])
            #expect(failure.text == "cpu on h2: it has no avx2")
        }
        #expect(try await fleet.steps(of: order).map(\.word) == ["accepted", "failed"])
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `a VM that is not on the source is not offered`() async throws {
        let order = MigrationOrder.testOrder(vm: VMID("another"), at: .now)
        try await fleet.run {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .refused)
            #expect(failure.preflight.map(\.check) == [.state])
            #expect(failure.whereabouts == .unknown)
        }
        #expect(try await fleet.steps(of: order).map(\.word) == ["failed"])
    }

    @Test func `a running move that is cancelled leaves the VM at the source`() async throws {
        fleet.world.script(vm, InMemoryScript(.hang))
        try await fleet.run {
            try await fleet.submit(order)
            try await eventually("the move runs") { fleet.world.isMoving(vm) }
            try await fleet.cancel(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .cancelled)
            #expect(failure.whereabouts == .at(h1))
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `an order cancelled before its target answers is never begun`() async throws {
        try await fleet.run([h1]) {
            try await fleet.submit(order)
            try await eventually("the source has accepted") { try await !fleet.steps(of: order).isEmpty }
            try await fleet.cancel(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.kind == .cancelled)
            #expect(failure.text == "cancelled: not now")
        }
        #expect(try await fleet.steps(of: order).map(\.word) == ["accepted", "failed"])
    }

    @Test func `a consent in the target's name by another writer does not count`() async throws {
        // Over another path, because the first order does not end.
        let second = MigrationOrder.testOrder("o2", vm: VMID("another"), to: HostName("h3"), at: .now)
        try await fleet.run([h1]) {
            try await fleet.submit(order)
            try await eventually("the source has accepted") { try await !fleet.steps(of: order).isEmpty }
            let forged = OrderReport(order: order.id, host: h2, at: .now, step: .prepared())
            try await fleet.ledger.writing(as: .host(HostName("h3"))).append(forged)
            // Submits orders after the forgery; the agent has read it when it answers the first or the second of them.
            try await fleet.submit(second)
            _ = try await fleet.end(of: second)
            let third = MigrationOrder.testOrder("o3", vm: VMID("another"), to: HostName("h3"), at: .now)
            try await fleet.submit(third)
            _ = try await fleet.end(of: third)
        }
        #expect(try await fleet.steps(of: order).map(\.word) == ["accepted"])
        #expect(try await fleet.ledger.read(OrderReport.self, from: nil).remarks.count(.notForWriter) == 1)
        #expect(fleet.log.contains("notForWriter"))
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }
}

private final class ProbeCount: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}
