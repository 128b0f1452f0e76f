// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Hypervisor
import Settings
import Testing

@testable import HostAgent

/// A move whose call ends without an answer, seen through to its end.
@Suite struct MoveInDoubtTests {
    private let world = InMemoryWorld.sample()
    private let execution: MoveExecution

    init() {
        world.place(.sample(), on: h1)
        execution = MoveExecution(for: world)
    }

    @Test(.timeLimit(.minutes(1)), arguments: [InMemoryScript.Aftermath.arrived, .handedOver])
    func `a VM that arrived is done, and runs once`(_ aftermath: InMemoryScript.Aftermath) async throws {
        world.script(vm, InMemoryScript(.loseTouch(aftermath)))
        let completion = try await execution.migrate(.sample()) { _ in }.get()
        #expect(completion.evidence.verdict == .unprotected)
        #expect(world.hostsRunning(vm) == [h2])
        #expect(try await world.hypervisor(of: h1).domains().isEmpty)
        #expect(world.violations == [])
    }

    @Test(.timeLimit(.minutes(1)), arguments: [InMemoryScript.Aftermath.stayed, .pausedAtSource])
    func `a VM that did not arrive runs on at the source`(_ aftermath: InMemoryScript.Aftermath) async throws {
        world.script(vm, InMemoryScript(.loseTouch(aftermath)))
        let failure = await #expect(throws: OrderFailure.self) {
            try await execution.migrate(.sample()) { _ in }.get()
        }
        #expect(failure?.kind == .migration)
        #expect(failure?.runsOn == h1)
        #expect(failure?.reason.contains("the hypervisor fell silent") == true)
        #expect(world.hostsRunning(vm) == [h1])
        #expect(world.violations == [])
    }

    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func `a move that goes on by itself is waited for`(arrives: Bool) async throws {
        world.script(vm, InMemoryScript(.loseTouch(.goesOn)))
        async let result = execution.migrate(.sample()) { _ in }
        try await eventually("the move has begun") { world.isMoving(vm) }
        world.end(vm, arrived: arrives)
        let ended = await result
        #expect(world.hostsRunning(vm) == [arrives ? h2 : h1])
        #expect(((try? ended.get()) != nil) == arrives)
    }

    @Test(.timeLimit(.minutes(1))) func `a target that cannot be asked is asked again until it answers`() async throws {
        world.script(vm, InMemoryScript(.loseTouch(.pausedAtSource)))
        async let result = execution.migrate(.sample()) { _ in world.change(h2) { $0.answers = false } }
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

    @Test func `a target that is not configured is refused by name`() async {
        let execution = MoveExecution(for: world, knowsTarget: false)
        let failure = await #expect(throws: OrderFailure.self) { try await execution.migrate(.sample()) { _ in }.get() }
        #expect(failure?.kind == .refused)
        #expect(failure?.reason.contains("host h2 is not in this agent's configuration") == true)
        #expect(world.hostsRunning(vm) == [h1])
    }
}

extension MoveExecution {
    /// The execution of h1's agent, with no tunnels; its configuration may lack the target.
    init(for world: InMemoryWorld, knowsTarget: Bool = true) {
        var settings = Settings.sample(allowPlain: true)
        if !knowsTarget { settings.inventory.hosts.removeAll { $0.name == h2 } }
        self.init(host: h1, settings: settings, hypervisor: world.hypervisor(of: h1), mesh: .broken(h1))
        jobLockTime = .zero
    }
}
