// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Hypervisor
import TestSupport
import Testing

/// Stop-and-copy in the in-memory world: a VM never runs twice and is never lost; a violation is reported.
@Suite struct InMemorySavingTests {
    private let world = InMemoryWorld(
        hosts: ["h1", "h2"].map {
            InMemoryHost(name: HostName($0), uri: "mem://\($0)", memoryBytes: 1 << 34, facts: .testDriver)
        }
    )
    private let vm = VMRequirements.onTestDriver()
    private var one: InMemoryHypervisor { world.hypervisor(of: HostName("h1")) }
    private var two: InMemoryHypervisor { world.hypervisor(of: HostName("h2")) }

    private func saved(_ folder: String) async throws -> SavedVM {
        world.place(vm, on: HostName("h1"))
        return try await one.save(vm.id, in: folder, timeLimit: .seconds(5)) { _ in }
    }

    @Test func `a saved VM is gone, and its image is private, until it runs elsewhere`() async throws {
        try await withMemoryFolder { folder in
            let saved = try await saved(folder)
            #expect(try await one.presence(of: vm.id) == .absent)
            #expect(world.hostsRunning(vm.id) == [])
            let mode = try FileManager.default.attributesOfItem(atPath: saved.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(try await two.image(at: saved.path).vm == vm.id)
            _ = try await two.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            #expect(world.hostsRunning(vm.id) == [HostName("h2")])
            #expect(!FileManager.default.fileExists(atPath: saved.path))
            #expect(world.violations == [])
        }
    }

    @Test func `a failed restore leaves the image for a restore at the source`() async throws {
        try await withMemoryFolder { folder in
            let saved = try await saved(folder)
            world.script(vm.id, .fail(.failed, detail: "no such bridge"))
            let error = await #expect(throws: HypervisorError.self) {
                try await two.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            }
            #expect(error?.kind == .failed)
            #expect(try await two.presence(of: vm.id) == .absent)
            _ = try await one.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            #expect(world.hostsRunning(vm.id) == [HostName("h1")])
            #expect(world.violations == [])
        }
    }

    @Test func `a failed save leaves the VM running and no file`() async throws {
        try await withMemoryFolder { folder in
            world.place(vm, on: HostName("h1"))
            world.script(vm.id, .fail(.timedOut, detail: "slow"))
            let error = await #expect(throws: HypervisorError.self) {
                try await one.save(vm.id, in: folder, timeLimit: .seconds(5)) { _ in }
            }
            #expect(error?.kind == .timedOut)
            #expect(world.hostsRunning(vm.id) == [HostName("h1")])
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(left == [])
        }
    }

    @Test(arguments: [true, false])
    func `the result of a restore in doubt is visible in the VM's presence`(done: Bool) async throws {
        try await withMemoryFolder { folder in
            let saved = try await saved(folder)
            world.script(vm.id, .loseTouch(done: done))
            let error = await #expect(throws: HypervisorError.self) {
                try await two.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            }
            #expect(error?.kind == .inDoubt)
            #expect(try await two.presence(of: vm.id) == (done ? .running : .absent))
            #expect(FileManager.default.fileExists(atPath: saved.path))
        }
    }

    @Test func `a VM that runs is not restored a second time`() async throws {
        try await withMemoryFolder { folder in
            let saved = try await saved(folder)
            world.script(vm.id, .loseTouch(done: true))
            _ = try? await two.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            let error = await #expect(throws: HypervisorError.self) {
                try await one.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            }
            #expect(error?.kind == .refused)
            #expect(world.hostsRunning(vm.id) == [HostName("h2")])
            #expect(world.violations.count == 1)
        }
    }

    @Test func `an image older than the disks is not restored`() async throws {
        try await withMemoryFolder { folder in
            let saved = try await saved(folder)
            // The VM was defined, started, and removed again.
            world.place(vm, on: HostName("h1"))
            world.place(vm, on: HostName("h1"), as: .absent)
            let error = await #expect(throws: HypervisorError.self) {
                try await two.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            }
            #expect(error?.detail.contains("stale") == true)
            #expect(world.violations.count == 1)
        }
    }

    @Test func `a VM that the host already knows is not restored as an arrival`() async throws {
        try await withMemoryFolder { folder in
            let saved = try await saved(folder)
            world.place(vm, on: HostName("h2"), as: .inactive)
            let error = await #expect(throws: HypervisorError.self) {
                try await two.restore(saved, .arrival, timeLimit: .seconds(5), beforeStart: {})
            }
            #expect(error?.kind == .refused)
            #expect(world.violations == [])
        }
    }
}
