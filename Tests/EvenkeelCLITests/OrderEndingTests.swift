// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import HostOS
import Ledger
import Settings
import Testing
import TestSupport

@testable import EvenkeelCLI

/// The statements that `evenkeel end` accepts and refuses.
struct OrderEndingTests {
    private let start = Instant(milliseconds: 1_795_687_216_459)
    private var order: MigrationOrder { .sample(at: start, issuer: .controller) }

    /// Returns the fleet ten minutes after h1 has begun to move vm1 to h2; `source` and `target` are the states of vm1 in
    /// their newest samples, `nil` if they do not have it.
    private func view(
        source: VMState? = .running,
        sourceAt: Int = 2,
        target: VMState? = .running,
        targetAt: Int? = 598,
        steps: [OrderStep] = [.accepted(requirements: .sample()), .running(progress: .beginning)]
    ) -> FleetView {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.order(.migrate(order: order)))
        for step in steps {
            let report = OrderReport(order: order.id, host: h1, at: start + .seconds(2), step: step)
            _ = core.handle(.report(report, at: start + .seconds(2)))
        }
        for (host, vm, second) in [(h1, source, sourceAt), (h2, target, targetAt)] as [(HostName, VMState?, Int?)] {
            guard let second else { continue }
            let vms = vm.map { VMSample(id: order.vm, name: "vm1", state: $0) }
            let at = start + .seconds(second)
            _ = core.handle(.sample(LoadSample(host: host, at: at, vms: [vms].compactMap(\.self)), at: at))
        }
        return FleetView(core, at: start + .seconds(600))
    }

    private func end(
        _ id: String = "o1",
        on host: HostName,
        evenIfAlive: Bool = false,
        _ view: FleetView
    ) throws(OrderEnding.Refusal) -> OrderRecord {
        try OrderEnding.record(
            of: id,
            on: host,
            reason: "h1 burned down",
            evenIfAlive: evenIfAlive,
            policy: Policy(),
            view: view
        )
    }

    private func refusal(
        _ id: String = "o1",
        on host: HostName,
        evenIfAlive: Bool = false,
        _ view: FleetView
    ) -> OrderEnding.Refusal? {
        do throws(OrderEnding.Refusal) {
            _ = try end(id, on: host, evenIfAlive: evenIfAlive, view)
            return nil
        } catch { return error }
    }

    private func record(on host: HostName) -> OrderRecord {
        .end(id: order.id, on: host, at: start + .seconds(600), reason: "h1 burned down")
    }

    @Test func `an order of a silent source ends where its VM is`() throws {
        #expect(try end(on: h2, view()) == record(on: h2))
        #expect(try end(on: h2, view(target: .shutOff)) == record(on: h2))
        #expect(try end(on: h1, view(target: nil)) == record(on: h1))
        // The target's copy has never run.
        #expect(try end(on: h1, view(target: .migrating)) == record(on: h1))
    }

    @Test func `a host that has not reported since contradicts nothing`() throws {
        #expect(try end(on: h2, view(target: nil, targetAt: 1)) == record(on: h2))
        #expect(try end(on: h2, view(targetAt: nil)) == record(on: h2))
        #expect(try end(on: h1, view(target: .running, targetAt: 1)) == record(on: h1))
    }

    @Test func `an unknown order, one that has ended, and another host are refused`() {
        #expect(refusal("o9", on: h2, view()) == .unknownOrder("o9"))
        let h3 = HostName("h3")
        #expect(refusal(on: h3, view()) == .otherHost(h3, order.id, source: h1, target: h2))
        let outcome = MigrationOutcome(startedAt: start, endedAt: start)
        let ends: [(OrderStep, FleetView.Stage)] = [
            (.done(outcome: outcome, evidence: Evidence(channel: .ipsec, verdict: .covered)), .done),
            (.failed(failure: OrderFailure(.migration, .other("broken pipe"), .at(h1))), .failed),
        ]
        for (step, stage) in ends {
            let ended = view(steps: [.accepted(requirements: .sample()), .running(progress: .beginning), step])
            #expect(refusal(on: h2, evenIfAlive: true, ended) == .hasEnded(order.id, stage))
        }
    }

    @Test func `the search after a failed move is ended on its living source`() throws {
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("broken pipe"), .at(h1)))
        let steps: [OrderStep] = [.accepted(requirements: .sample()), .running(progress: .beginning), failed]
        let searched = view(sourceAt: 590, target: nil, targetAt: nil, steps: steps)
        #expect(try end(on: h1, searched) == record(on: h1))
        #expect(refusal(on: h2, searched) == .hasEnded(order.id, .failed))
        let running = view(sourceAt: 590, steps: steps)
        #expect(refusal(on: h1, running) == .runsAtTarget(h2, vm: "vm1", order.id))
    }

    @Test func `the search after a move that failed days ago is found and ended`() async throws {
        let issued = Instant.now - .seconds(3 * 86400)
        let old = MigrationOrder.sample(at: issued, issuer: .controller)
        let ledger = InMemoryLedger(writer: .controller)
        try await ledger.append(OrderRecord.migrate(order: old))
        let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("broken pipe"), .at(h1)))
        for step in [.accepted(requirements: .sample()), .running(progress: .beginning), failed] as [OrderStep] {
            let report = OrderReport(order: old.id, host: h1, at: issued, step: step)
            try await ledger.writing(as: .host(h1)).append(report)
        }
        let view = try await FleetView.read(ledger, settings: Settings())
        #expect(view.moves.map(\.order.id) == [old.id])
        let record = try end(on: h1, view)
        #expect(record == .end(id: old.id, on: h1, at: view.at, reason: "h1 burned down"))
    }

    @Test func `an order whose source reports is ended only on request`() throws {
        let alive = view(sourceAt: 590)
        #expect(refusal(on: h2, alive) == .sourceAlive(h1, order.id, secondsAgo: 10))
        #expect(try end(on: h2, evenIfAlive: true, alive) == record(on: h2))
        // As long as the controller counts the move.
        #expect(refusal(on: h2, view(sourceAt: 480)) == .sourceAlive(h1, order.id, secondsAgo: 120))
        #expect(try end(on: h2, view(sourceAt: 479)) == record(on: h2))
    }

    @Test func `an order whose source waits because a third host claims the VM is ended although the source reports`()
        throws
    {
        func doubted(_ finding: FailureReason.Finding) -> FleetView {
            let failure = OrderFailure(.inDoubt, .inquiry(.agentRestarted, finding), .unknown)
            return view(
                source: .migrating,
                sourceAt: 590,
                target: nil,
                steps: [.accepted(requirements: .sample()), .running(progress: .beginning), .failed(failure: failure)]
            )
        }
        let claimed = doubted(.copyHereAndElsewhere(vm: "vm1", source: h1, other: HostName("h3")))
        #expect(try end(on: h1, claimed) == record(on: h1))
        let other = doubted(.runsNowhere(vm: "vm1", source: h1, target: h2))
        #expect(refusal(on: h1, other) == .sourceAlive(h1, order.id, secondsAgo: 10))
    }

    @Test(arguments: [false, true]) func `a statement that a sample contradicts is refused`(evenIfAlive: Bool) {
        func refused(_ host: HostName, _ view: FleetView) -> OrderEnding.Refusal? {
            refusal(on: host, evenIfAlive: evenIfAlive, view)
        }
        #expect(refused(h2, view(target: nil)) == .notThere(h2, vm: "vm1", secondsAgo: 2))
        #expect(refused(h2, view(target: .migrating)) == .incomplete(h2, vm: "vm1", secondsAgo: 2))
        #expect(refused(h1, view()) == .runsAtTarget(h2, vm: "vm1", order.id))
        // The source's last sample shows that the VM had left.
        #expect(refused(h1, view(source: nil, sourceAt: 3, target: nil)) == .notThere(h1, vm: "vm1", secondsAgo: 597))
    }

    @Test func `status shows how an order was ended`() {
        var core = ControllerCore(policy: Policy())
        _ = core.handle(.order(.migrate(order: order)))
        _ = core.handle(.order(record(on: h2)))
        let view = FleetView(core, at: start + .seconds(700))
        #expect(view.moves.first?.stage == .done)
        #expect(view.moves.first?.statedEnd?.host == h2)
        #expect(view.text().contains("ended without a report of h1: h1 burned down"))
    }
}
