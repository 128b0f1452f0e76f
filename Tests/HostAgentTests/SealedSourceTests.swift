// SPDX-License-Identifier: Apache-2.0
import Fleet
import HostOS
import Foundation
import HostOS
import Hypervisor
import Settings
import TestSupport
import Testing

@testable import HostAgent

/// The source of a sealed move at its end: the kept definition, and a copy that an earlier agent restored.
struct SealedSourceTests {
    private let world = InMemoryWorld.sample()
    private let order = MigrationOrder.sealed(at: .now)

    /// Runs the body with the source's executor of sealed moves.
    private func withMoves<R>(_ body: (SealedMoves) async throws -> R) async throws -> R {
        try await withFolder { folder in
            var settings = Settings.sample()
            settings.migration.sealedFolder = "\(folder)/memory"
            settings.migration.sealedStorage = "\(folder)/storage"
            let moves = SealedMoves(
                host: h1,
                settings: settings,
                hypervisor: world.hypervisor(of: h1),
                keys: SealedKeys(),
                journal: OrderJournal(path: "\(folder)/orders")
            )
            return try await body(moves)
        }
    }

    /// Keeps a definition, ends the order, and returns whether the file is still there.
    private func isKept(belongsHere: Bool, presence: DomainPresence?) async throws -> Bool {
        if let presence { world.place(.testVM(), on: h1, as: presence) }
        return try await withMoves { moves in
            let definitions = try #require(moves.definitions)
            try definitions.keep("<domain/>", of: order.id)
            let left = await moves.forget(order, belongsHere: belongsHere)
            let path = try definitions.path(of: order.id)
            let isKept = FileManager.default.fileExists(atPath: path)
            #expect(left == (isKept ? path : nil))
            return isKept
        }
    }

    /// `resume` refuses a transient VM, because after a live migration it may have run at the target.
    @Test(arguments: [true, false])
    func `a VM that an earlier agent restored and did not start is started`(isTransient: Bool) async throws {
        world.place(.testVM(), on: h1, as: .pausedByMigration, isTransient: isTransient)
        try await withMoves { moves in
            guard case .success = await moves.takeBack(order, startsWithHost: false) else {
                Issue.record("it stays paused")
                return
            }
        }
        #expect(world.hostsRunning(order.vm) == [h1])
        #expect(world.violations == [])
    }

    @Test func `the definition of a VM that belongs here and is gone stays`() async throws {
        #expect(try await isKept(belongsHere: true, presence: nil))
        #expect(try await world.hypervisor(of: h1).presence(of: order.vm) == .absent, "it may have moved on since")
    }

    @Test func `the definition of a VM that belongs elsewhere is removed`() async throws {
        #expect(try await !isKept(belongsHere: false, presence: nil))
    }

    @Test func `the definition of a VM that is here is removed after the VM has it`() async throws {
        #expect(try await !isKept(belongsHere: true, presence: .running))
    }
}
