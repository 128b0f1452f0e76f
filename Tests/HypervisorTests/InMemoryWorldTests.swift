// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import Synchronization
import TestSupport
import Testing

@Suite struct InMemoryWorldTests {
    private let world = InMemoryWorld(hosts: [.sample("h1"), .sample("h2"), .sample("small", memory: 1)])
    private let vm = VMRequirements.onTestDriver()
    private var source: InMemoryHypervisor { world.hypervisor(of: HostName("h1")) }
    private var target: InMemoryHypervisor { world.hypervisor(of: HostName("h2")) }

    init() { world.place(vm, on: HostName("h1")) }

    @Test func `a move ends with the VM at the target and reports progress`() async throws {
        let seen = Mutex<[UInt64]>([])
        let outcome = try await source.migrate(.sample(vm.id)) { progress in
            seen.withLock { $0.append(progress.bytesTransferred) }
        }
        #expect(world.hostsRunning(vm.id) == [HostName("h2")])
        #expect(try await source.presence(of: vm.id) == .absent)
        #expect(outcome.bytesTransferred == vm.memoryBytes)
        #expect(seen.withLock { $0 } == (1...4).map { vm.memoryBytes / 4 * $0 })
    }

    @Test func `a VM that is not here cannot be moved`() async {
        let error = await #expect(throws: HypervisorError.self) { try await target.migrate(.sample(vm.id)) { _ in } }
        #expect(error?.kind == .noSuchVM)
    }

    @Test func `a VM is not moved to a host without memory for it`() async {
        let error = await #expect(throws: HypervisorError.self) {
            try await source.migrate(.sample(vm.id, to: "small")) { _ in }
        }
        #expect(error?.kind == .failed)
        #expect(world.hostsRunning(vm.id) == [HostName("h1")])
    }

    @Test(.timeLimit(.minutes(1))) func `a second move of the same VM is refused while one runs`() async throws {
        world.script(vm.id, InMemoryScript(.hang))
        async let first = source.migrate(.sample(vm.id)) { _ in }
        while !world.isMoving(vm.id) { await Task.yield() }
        let error = await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(error?.kind == .refused)
        #expect(try await source.presence(of: vm.id) == .migratingOut)
        #expect(try await target.presence(of: vm.id) == .pausedByMigration)
        world.release(vm.id)
        _ = try await first
        #expect(world.hostsRunning(vm.id) == [HostName("h2")])
    }

    @Test(.timeLimit(.minutes(1))) func `a cancelled task leaves the VM at the source`() async throws {
        world.script(vm.id, InMemoryScript(.hang))
        let outcome = await withTaskGroup(of: HypervisorError.Kind?.self) { group in
            group.addTask {
                do throws(HypervisorError) {
                    _ = try await source.migrate(.sample(vm.id)) { _ in }
                    return nil
                } catch {
                    return error.kind
                }
            }
            while !world.isMoving(vm.id) { await Task.yield() }
            group.cancelAll()
            return await group.next() ?? nil
        }
        #expect(outcome == .cancelled)
        #expect(world.hostsRunning(vm.id) == [HostName("h1")])
    }

    @Test(.timeLimit(.minutes(1))) func `a move that hangs ends at its time limit`() async {
        world.script(vm.id, InMemoryScript(.hang))
        let error = await #expect(throws: HypervisorError.self) {
            try await source.migrate(.sample(vm.id, stall: .milliseconds(10))) { _ in }
        }
        #expect(error?.kind == .timedOut)
        #expect(world.hostsRunning(vm.id) == [HostName("h1")])
    }

    @Test func `a failure at a point keeps the VM at the source`() async {
        world.script(vm.id, InMemoryScript(.fail(.failed, detail: "disk error"), atStep: 3))
        let error = await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(error?.detail == "disk error")
        #expect(world.hostsRunning(vm.id) == [HostName("h1")])
    }

    @Test func `a handed-over copy can be discarded but not resumed`() async throws {
        world.script(vm.id, InMemoryScript(.loseTouch(.handedOver)))
        let error = await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(error?.kind == .inDoubt)
        #expect(try await target.presence(of: vm.id) == .running)
        await #expect(throws: HypervisorError.self) { try await source.resume(vm.id) }
        #expect(world.violations.count == 1)
        try await source.discardHandedOver(vm.id)
        #expect(world.hostsRunning(vm.id) == [HostName("h2")])
    }

    @Test func `a definition is discarded when the VM's owner has paused it elsewhere`() async throws {
        world.place(vm, on: HostName("h1"), as: .inactive)
        world.place(vm, on: HostName("h2"), as: .pausedByMigration)
        await #expect(throws: HypervisorError.self) { try await source.discardHandedOver(vm.id) }
        #expect(world.violations.count == 1)
        world.place(vm, on: HostName("h2"), as: .paused)
        try await source.discardHandedOver(vm.id)
        #expect(try await source.domains().isEmpty)
    }

    @Test func `a VM that was shut down at the target is not resumed from its old memory`() async throws {
        world.script(vm.id, InMemoryScript(.loseTouch(.shutOffAtTarget)))
        await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(try await target.presence(of: vm.id) == .inactive)
        let error = await #expect(throws: HypervisorError.self) { try await source.resume(vm.id) }
        #expect(error?.kind == .refused)
        #expect(world.violations.count == 1)
    }

    @Test func `a transient VM is not resumed because it leaves no trace where it ran`() async throws {
        world.place(vm, on: HostName("h1"), isTransient: true)
        world.script(vm.id, InMemoryScript(.loseTouch(.shutOffAtTarget)))
        await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(try await target.presence(of: vm.id) == .absent)
        let error = await #expect(throws: HypervisorError.self) { try await source.resume(vm.id) }
        #expect(error?.kind == .refused)
        #expect(error?.detail.contains("transient") == true)
        #expect(world.violations.isEmpty)
    }

    @Test func `the last copy can be resumed but not discarded`() async throws {
        world.script(vm.id, InMemoryScript(.loseTouch(.pausedAtSource)))
        await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        await #expect(throws: HypervisorError.self) { try await source.discardHandedOver(vm.id) }
        #expect(world.violations.count == 1)
        try await source.resume(vm.id)
        #expect(world.hostsRunning(vm.id) == [HostName("h1")])
    }

    @Test func `a move whose caller died continues and is visible`() async throws {
        world.script(vm.id, InMemoryScript(.loseTouch(.goesOn)))
        await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(try await source.presence(of: vm.id) == .migratingOut)
        world.end(vm.id, arrived: true)
        #expect(world.hostsRunning(vm.id) == [HostName("h2")])
    }

    @Test func `a host on which the VM is defined but off does not accept it again`() async throws {
        world.place(vm, on: HostName("h2"), as: .inactive)
        #expect(try await target.unmet(vm, on: HostName("h2")).map(\.check) == [.uuid])
        let error = await #expect(throws: HypervisorError.self) { try await source.migrate(.sample(vm.id)) { _ in } }
        #expect(error?.kind == .refused)
    }

    @Test func `a silent host does not answer its agent`() async {
        world.change(HostName("h2")) { $0.answers = false }
        let all = await #expect(throws: HypervisorError.self) { try await target.domains() }
        let one = await #expect(throws: HypervisorError.self) { try await target.presence(of: vm.id) }
        #expect(all?.kind == .notConnected)
        #expect(one?.kind == .notConnected)
    }
}

extension InMemoryHost {
    fileprivate static func sample(_ name: String, memory: UInt64 = 1 << 34) -> Self {
        Self(name: HostName(name), uri: "mem://\(name)", memoryBytes: memory, facts: .testDriver)
    }
}
