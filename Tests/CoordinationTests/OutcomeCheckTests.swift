// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet
import TestSupport
import Testing

@testable import Coordination

/// Three hosts after a move of `vm1` from h1 to h2 that h1 reported as done.
private struct FleetAfterMove {
    var core: ControllerCore
    var second = 0
    var announced: [ControllerNews] = []
    /// The hosts whose samples list the VM, and its state there.
    var holders: [HostName: VMState] = [h1: .running]
    /// The hosts whose samples list no VMs, because their libvirt does not answer.
    var silent: Set<HostName> = []

    static let h3 = HostName("h3")

    /// `isHistory`: the controller starts after the move.
    init(isHistory: Bool = false) {
        core = isHistory ? ControllerCore(policy: Policy()) : inControl(Policy())
        run(70)
        _ = core.handle(.order(.migrate(order: order)))
        for one in [
            report("h1", 71, .accepted(requirements: requirements)), report("h2", 71, .prepared()),
            report("h1", 72, .running(progress: begin)),
            report("h1", 74, .done(outcome: completion.outcome, evidence: completion.evidence)),
        ] { _ = core.handle(.report(one, at: .second(74))) }
        if isHistory { _ = core.handle(.caughtUp(at: .second(74))) }
        holders = [:]
    }

    /// Lets a number of seconds pass; every host writes a sample every 5 s.
    mutating func run(_ seconds: Int) {
        for _ in 0..<(seconds / 5) {
            second += 5
            for host in [h1, h2, Self.h3] {
                var sample = LoadSample(host: host, at: .second(second), intervalSeconds: 5)
                let vms = holders[host].map { [VMSample(id: order.vm, name: order.vmName, state: $0)] } ?? []
                sample.vms = silent.contains(host) ? nil : vms
                _ = core.handle(.sample(sample, at: .second(second)))
            }
            for effect in core.handle(.tick(at: .second(second), identifier: "d\(second)")) {
                if case .announce(let one) = effect { announced.append(one) }
            }
        }
    }

    var doubts: [Doubt] { core.doubts }
    var doubted: [Doubt] { announced.compactMap { if case .doubted(let doubt) = $0 { doubt } else { nil } } }
}

/// The outcomes of moves, compared with the samples of their hosts.
struct OutcomeCheckTests {
    private let missing = Doubt(host: h2, contradictions: [.missingVM(name: "vm1", movedFrom: h1)])
    private let kept = Doubt(host: h1, contradictions: [.stillRunsVM(name: "vm1", movedTo: h2)])

    @Test func `a moved VM that the target does not list is reported once, and convicts no host`() {
        var fleet = FleetAfterMove()
        fleet.run(45)
        #expect(fleet.doubts.isEmpty, "not before a minute has passed")
        fleet.run(200)
        #expect(fleet.doubts == [missing] && fleet.doubted == [missing])
        #expect(fleet.announced.contains { $0 == .doubted(missing) && $0.kind.needsOperator })
        #expect(fleet.core.snapshot(at: .second(fleet.second)).distrusted.isEmpty)
        fleet.holders = [h2: .running]
        fleet.run(5)
        #expect(fleet.doubts.isEmpty)
    }

    @Test func `a source that still runs the VM that it has moved is reported`() {
        var fleet = FleetAfterMove()
        fleet.holders = [h1: .running]
        fleet.run(100)
        #expect(fleet.doubts == [kept] && fleet.doubted == [kept])
    }

    @Test(arguments: [VMState.running, .paused, .shutOff])
    func `a VM that the target has listed for a minute may disappear`(state: VMState) {
        var fleet = FleetAfterMove()
        fleet.holders = [h2: state]
        fleet.run(60)
        fleet.holders = [:]
        fleet.run(200)
        #expect(fleet.doubted.isEmpty)
    }

    @Test func `a VM that disappears within seconds of the move, as in a power cut of the target, is reported`() {
        var fleet = FleetAfterMove()
        fleet.holders = [h2: .running]
        fleet.run(20)
        fleet.holders = [:]
        fleet.silent = [h2]
        fleet.run(30)
        fleet.silent = []
        fleet.run(60)
        #expect(fleet.doubted == [missing])
    }

    @Test func `a VM that an operator has moved on is not missed`() {
        var fleet = FleetAfterMove()
        fleet.holders = [FleetAfterMove.h3: .running]
        fleet.run(200)
        #expect(fleet.doubted.isEmpty)
    }

    @Test func `a target that cannot list its VMs is not suspected`() {
        var fleet = FleetAfterMove()
        fleet.silent = [h2]
        fleet.run(200)
        #expect(fleet.doubted.isEmpty)
    }

    @Test func `a controller that starts after the move finds out, too`() {
        var fleet = FleetAfterMove(isHistory: true)
        fleet.run(200)
        #expect(fleet.doubted == [missing])
    }

    @Test func `a target without samples from before the end is not suspected`() {
        var fleet = FleetAfterMove()
        // Its VM may have been listed and removed in samples that are no longer kept.
        fleet.run(2400)
        #expect(fleet.doubted == [missing] && fleet.doubts.isEmpty)
    }

    @Test func `a later move of the VM ends the check, and a later order that failed does not`() {
        for hasBegun in [false, true] {
            var fleet = FleetAfterMove()
            fleet.run(20)
            let next = MigrationOrder.sample("o2", from: "h2", to: "h3", at: .second(90))
            _ = fleet.core.handle(.order(.migrate(order: next)))
            let step: OrderStep =
                hasBegun
                ? .running(progress: begin) : .failed(failure: OrderFailure(.refused, .other("not here"), .notLooked))
            let report = OrderReport(order: next.id, host: h2, at: .second(90), step: step)
            _ = fleet.core.handle(.report(report, at: .second(90)))
            fleet.run(200)
            #expect(fleet.doubted == (hasBegun ? [] : [missing]))
        }
    }
}
