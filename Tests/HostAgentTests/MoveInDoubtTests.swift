// SPDX-License-Identifier: Apache-2.0
import Coordination
import Escort
import Fleet
import Hypervisor
import Settings
import TestSupport
import Testing

@testable import HostAgent

/// A move whose call ends without an answer, followed to its end.
@Suite struct MoveInDoubtTests {
    private let world = InMemoryWorld.sample()
    private let execution: MoveExecution

    init() {
        world.place(.testVM(), on: h1)
        execution = MoveExecution(for: world)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [InMemoryScript.Aftermath.arrived, .handedOver])
    func `a move whose VM arrived is done, and the VM runs once`(_ aftermath: InMemoryScript.Aftermath) async throws {
        world.script(vm, InMemoryScript(.loseTouch(aftermath)))
        let completion = try await execution.carriedOut(.testOrder(), in: world).get()
        #expect(completion.evidence.verdict == .unprotected)
        #expect(world.hostsRunning(vm) == [h2])
        #expect(try await world.hypervisor(of: h1).domains().isEmpty)
        #expect(world.violations == [])
    }

    @Test(.timeLimit(.minutes(1)), arguments: [InMemoryScript.Aftermath.stayed, .pausedAtSource])
    func `a VM that did not arrive continues at the source`(_ aftermath: InMemoryScript.Aftermath) async throws {
        world.script(vm, InMemoryScript(.loseTouch(aftermath)))
        let failure = await #expect(throws: OrderFailure.self) {
            try await execution.carriedOut(.testOrder(), in: world).get()
        }
        #expect(failure?.kind == .migration)
        #expect(failure?.whereabouts == .at(h1))
        #expect(failure?.text.contains("the hypervisor stopped answering") == true)
        #expect(world.hostsRunning(vm) == [h1])
        #expect(world.violations == [])
    }

    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func `a move that continues without its caller is waited for`(arrives: Bool) async throws {
        world.script(vm, InMemoryScript(.loseTouch(.goesOn)))
        async let result = execution.carriedOut(.testOrder(), in: world)
        try await eventually("the move has begun") { world.isMoving(vm) }
        world.end(vm, arrived: arrives)
        let ended = await result
        #expect(world.hostsRunning(vm) == [arrives ? h2 : h1])
        #expect(((try? ended.get()) != nil) == arrives)
    }

    @Test(.timeLimit(.minutes(1))) func `a target that does not answer is asked again until it does`() async throws {
        world.script(vm, InMemoryScript(.loseTouch(.pausedAtSource)))
        async let result = execution.carriedOut(.testOrder(), in: world) { _ in world.change(h2) { $0.answers = false }
        }
        try await eventually("the call has ended") {
            try await world.hypervisor(of: h1).presence(of: vm) == .pausedByMigration
        }
        #expect(world.hostsRunning(vm) == [])
        world.change(h2) { $0.answers = true }
        let ended = await result
        #expect((try? ended.get()) == nil)
        #expect(world.hostsRunning(vm) == [h1])
        #expect(world.violations == [])
    }

    @Test func `an agent that is asked finds out whether the VM is defined here`() async {
        var (found, isPersistent) = await execution.locate(vm)
        #expect(found == .seen(.running) && isPersistent == true)
        world.place(.testVM(), on: h1, isTransient: true)
        (found, isPersistent) = await execution.locate(vm)
        #expect(found == .seen(.running) && isPersistent == false)
        world.place(.testVM(), on: h1, as: .absent)
        (found, isPersistent) = await execution.locate(vm)
        #expect(found == .seen(.absent) && isPersistent == nil)
    }

    @Test func `a target that is not configured is refused by name`() async {
        let execution = MoveExecution(for: world, knowsTarget: false)
        let failure = await #expect(throws: OrderFailure.self) {
            try await execution.carriedOut(.testOrder(), in: world).get()
        }
        #expect(failure?.kind == .refused)
        #expect(failure?.text.contains("host h2 is not in this agent's configuration") == true)
        #expect(world.hostsRunning(vm) == [h1])
    }
}

extension InMemoryWorld {
    /// Returns the answer of the agent of h2 to a question; `nil` if its hypervisor does not answer.
    func answer(to question: OrderReport) async -> OrderReport? {
        guard case .asked(let asked) = question.step,
            let presence = try? await hypervisor(of: h2).presence(of: asked.vm)
        else { return nil }
        let step = OrderStep.answered(presence: presence, question: question.at)
        return OrderReport(order: question.order, host: h2, at: question.at, step: step)
    }
}

extension MoveExecution {
    /// Returns the execution of h1's agent without tunnels; its configuration may lack the target.
    init(for world: InMemoryWorld, knowsTarget: Bool = true) {
        var settings = Settings.sample(allowPlain: true)
        if !knowsTarget { settings.inventory.hosts.removeAll { $0.name == h2 } }
        self.init(host: h1, settings: settings, hypervisor: world.hypervisor(of: h1), channels: .withoutTunnels(h1))
    }

    /// Drives a core, which has begun the move now or in a previous run, until it has an end.
    ///
    /// Time runs ten times as fast, so that observations follow quickly.
    func carriedOut(
        _ order: MigrationOrder,
        in world: InMemoryWorld,
        isInherited: Bool = false,
        startedAt: Instant? = nil,
        progress: @Sendable @escaping (MigrationProgress) -> Void = { _ in }
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        // It has no charon, but its gates exist from now on.
        try? await channels.mesh.apply(settings.inventory)
        let startedAt = startedAt ?? order.issuedAt
        var clock = startedAt
        var core = AgentCore(host: host, limits: AgentCore.Limits(jobLock: .zero))
        let begun = MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
        let running = OrderReport(order: order.id, host: host, at: startedAt, step: .running(progress: begun))
        _ = core.handle(.order(.migrate(order: order)), at: clock)
        if !isInherited { _ = core.handle(.caughtUp, at: clock) }
        _ = core.handle(.report(running), at: clock)
        var effects =
            isInherited ? core.handle(.caughtUp, at: clock) : [.migrate(order, Preparation(probes: [], memoryBytes: 0))]
        var questions: [OrderReport] = []
        while !Task.isCancelled {
            // The target's agent answers when its hypervisor does.
            if let question = questions.first, let answer = await world.answer(to: question) {
                questions.removeFirst()
                effects += core.handle(.report(answer), at: clock)
            }
            clock = clock + .milliseconds(100)
            if effects.isEmpty {
                try? await Task.sleep(for: .milliseconds(10))
                effects = core.handle(.tick, at: clock)
                continue
            }
            switch effects.removeFirst() {
            case .migrate(let order, let preparation):
                let result = await migrate(order, preparation, progress: progress)
                effects += core.handle(.migrationEnded(order.id, AgentCore.Answer(result)), at: clock)
            case .look(let order):
                let observation = await look(for: order.vm)
                effects += core.handle(.looked(order.id, observation), at: clock)
            case .apply(let action, let order):
                effects += core.handle(
                    .applied(order.id, await apply(action, to: order.vm, since: startedAt)),
                    at: clock
                )
            case .cancelMigration(let order):
                try? await hypervisor.cancelMigration(of: order.vm)
                effects += core.handle(.cancelTried(order.id), at: clock)
            case .append(let report):
                switch report.step {
                case .done(let outcome, let evidence):
                    return .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
                case .failed(let failure): return .failure(failure)
                case .asked:
                    effects += core.handle(.appended(.written), at: clock)
                    questions.append(report)
                default: effects += core.handle(.appended(.written), at: clock)
                }
            default: break
            }
        }
        return .failure(OrderFailure(.interrupted, .other("the test was cancelled"), .notLooked))
    }
}
