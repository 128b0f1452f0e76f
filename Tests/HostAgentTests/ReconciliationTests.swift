// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Hypervisor
import TestSupport
import Testing

@testable import HostAgent

/// The agent's decision on a move whose end it did not see, from the VM's state at the two hypervisors.
@Suite struct ReconciliationTests {
    /// The VM's state at a hypervisor.
    enum CopyState: CustomTestStringConvertible {
        case nothing
        /// Defined, not active.
        case definition
        case active(DomainPresence)
        /// The hypervisor does not answer.
        case silent

        var testDescription: String {
            switch self {
            case .nothing: "nothing"
            case .definition: "a definition"
            case .active(let presence): "\(presence)"
            case .silent: "silence"
            }
        }
    }

    enum Finding: Equatable {
        case completed
        /// The VM stays: on this host, or at an unknown place.
        case notMoved(OrderFailure.Kind, OrderFailure.Whereabouts)
        case stillMoving
        case undecided
    }

    private let begun = Instant(milliseconds: 5000)

    struct Case: CustomTestStringConvertible {
        var here: CopyState
        var there: CopyState
        var finding: Finding
        /// The state on this host afterwards; `nil`: unchanged.
        var left: CopyState?

        init(_ here: CopyState, _ there: CopyState, _ finding: Finding, left: CopyState? = nil) {
            self.here = here
            self.there = there
            self.finding = finding
            self.left = left
        }

        var testDescription: String { "\(here.testDescription) here, \(there.testDescription) there" }
    }

    private static let stayed = Finding.notMoved(.interrupted, .at(h1))
    private static let lost = Finding.notMoved(.inDoubt, .unknown)

    static let cases: [Case] = [
        // It is at the target, so the copy here is removed.
        Case(.nothing, .active(.running), .completed),
        Case(.definition, .active(.running), .completed, left: .nothing),
        Case(.active(.pausedByMigration), .active(.running), .completed, left: .nothing),
        Case(.nothing, .active(.paused), .completed),
        Case(.definition, .active(.paused), .completed, left: .nothing),
        // The target has it and is sending it to another host.
        Case(.nothing, .active(.migratingOut), .completed),
        Case(.definition, .active(.migratingOut), .completed, left: .nothing),
        Case(.active(.pausedByMigration), .active(.migratingOut), .completed, left: .nothing),

        // It is here, whatever the target's libvirt may still do.
        Case(.active(.running), .nothing, stayed),
        Case(.active(.running), .active(.pausedByMigration), stayed),
        Case(.active(.running), .silent, stayed),
        Case(.active(.paused), .nothing, stayed),
        Case(.active(.paused), .active(.pausedByMigration), stayed),
        // It is off: shut off by its owner, or by a crash of this host.
        Case(.definition, .nothing, stayed),
        // The target has no copy, so the paused one here is the VM.
        Case(.active(.pausedByMigration), .nothing, stayed, left: .active(.running)),
        // The target no longer has it: it was moved and has been shut off since.
        Case(.nothing, .definition, .completed),

        // An operator must decide: it runs nowhere, it may have run at the target since, or there are two copies.
        Case(.nothing, .nothing, lost),
        Case(.definition, .definition, lost),
        Case(.active(.pausedByMigration), .definition, lost),
        Case(.active(.paused), .definition, lost),
        Case(.active(.paused), .active(.paused), lost),
        Case(.active(.running), .definition, .notMoved(.inDoubt, .at(h1))),
        Case(.active(.running), .active(.paused), .notMoved(.inDoubt, .at(h1))),
        // There are two copies: this one stops at once, or has been stopped already.
        Case(.active(.running), .active(.running), .notMoved(.inDoubt, .at(h2)), left: .active(.paused)),
        Case(.active(.running), .active(.migratingOut), .notMoved(.inDoubt, .at(h2)), left: .active(.paused)),
        Case(.active(.paused), .active(.running), .notMoved(.inDoubt, .at(h2))),
        Case(.active(.paused), .active(.migratingOut), .notMoved(.inDoubt, .at(h2))),

        // Undecided, so nothing is touched.
        Case(.active(.migratingOut), .active(.pausedByMigration), .stillMoving),
        Case(.active(.pausedByMigration), .active(.pausedByMigration), .undecided),
        Case(.active(.pausedByMigration), .active(.paused), .undecided),
        Case(.active(.pausedByMigration), .silent, .undecided),
        Case(.active(.paused), .silent, .undecided),
        Case(.nothing, .active(.pausedByMigration), .undecided),
        Case(.definition, .active(.pausedByMigration), .undecided),
        Case(.nothing, .silent, .undecided),
        Case(.definition, .silent, .undecided),
        Case(.silent, .active(.running), .undecided),
        Case(.silent, .nothing, .undecided),
    ]

    @Test(arguments: cases)
    func `the two hypervisors decide the outcome, and nothing else is touched`(_ each: Case) async throws {
        let world = InMemoryWorld.sample()
        place(each.here, on: h1, of: world)
        place(each.there, on: h2, of: world)
        let execution = MoveExecution(for: world)

        #expect(await finding(by: execution, in: world) == each.finding)
        #expect(world.violations == [])

        for host in [h1, h2] { world.change(host) { $0.answers = true } }
        if case .silent = each.here { return }
        #expect(try await standing(on: h1, of: world) == (each.left ?? each.here).testDescription)
        if case .silent = each.there { return }
        #expect(try await standing(on: h2, of: world) == each.there.testDescription)
    }

    /// An earlier run of the agent paused it, and could not turn autostart off.
    @Test func `a copy that is paused as a duplicate no longer starts with its host`() async throws {
        let world = InMemoryWorld.sample()
        var vm = VMRequirements.testVM()
        vm.startsWithHost = true
        world.place(vm, on: h1, as: .paused)
        world.place(vm, on: h2)
        #expect(await finding(by: MoveExecution(for: world), in: world) == .notMoved(.inDoubt, .at(h2)))
        #expect(world.hostsStarting(vm.id) == [h2])
    }

    @Test func `a reconciled move has no evidence about its path`() async throws {
        let world = InMemoryWorld.sample()
        world.place(.testVM(), on: h2)
        for (channel, verdict) in [(Channel.ipsec, Evidence.Verdict.unknown), (.plain, .unprotected)] {
            let execution = MoveExecution(for: world)
            let order = MigrationOrder.testOrder(channel: channel)
            let completion = try await execution.carriedOut(order, in: world, isInherited: true, startedAt: begun).get()
            #expect(completion.evidence == Evidence(channel: channel, verdict: verdict))
            #expect(completion.outcome.note == "the agent was restarted during the move; web1 is on h2")
            #expect(completion.outcome.startedAt == begun)
        }
    }

    /// Returns the result of one round of question and answer, and of the action that it requires.
    private func finding(by execution: MoveExecution, in world: InMemoryWorld) async -> Finding {
        var clock = begun
        var core = AgentCore(host: h1, limits: AgentCore.Limits(jobLock: .zero))
        let order = MigrationOrder.testOrder()
        _ = core.handle(.order(.migrate(order: order)), at: clock)
        let running = OrderStep.running(
            progress: MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
        )
        _ = core.handle(.report(OrderReport(order: order.id, host: h1, at: clock, step: running)), at: clock)
        var effects = core.handle(.caughtUp, at: clock)
        while clock < begun + .seconds(60) {
            guard !effects.isEmpty else {
                clock = clock + .seconds(1)
                effects += core.handle(.tick, at: clock)
                continue
            }
            switch effects.removeFirst() {
            case .look(let order):
                let observation = await execution.look(for: order.vm)
                if observation == .seen(.migratingOut) { return .stillMoving }
                effects += core.handle(.looked(order.id, observation), at: clock)
            case .apply(let action, let order):
                effects += core.handle(
                    .applied(order.id, await execution.apply(action, to: order.vm, since: begun)),
                    at: clock
                )
            case .append(let report):
                switch report.step {
                case .done: return .completed
                case .failed(let failure): return .notMoved(failure.kind, failure.whereabouts)
                case .asked:
                    effects += core.handle(.appended(.written), at: clock)
                    guard let answer = await world.answer(to: report) else { continue }
                    effects += core.handle(.report(answer), at: clock)
                default: effects += core.handle(.appended(.written), at: clock)
                }
            default: break
            }
        }
        return .undecided
    }

    private func place(_ standing: CopyState, on host: HostName, of world: InMemoryWorld) {
        switch standing {
        case .nothing: break
        case .definition: world.place(.testVM(), on: host, as: .inactive)
        case .active(let presence): world.place(.testVM(), on: host, as: presence)
        case .silent: world.change(host) { $0.answers = false }
        }
    }

    private func standing(on host: HostName, of world: InMemoryWorld) async throws -> String {
        switch try await world.hypervisor(of: host).presence(of: vm) {
        case .absent: return CopyState.nothing.testDescription
        case .inactive: return CopyState.definition.testDescription
        case let presence: return CopyState.active(presence).testDescription
        }
    }
}
