// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Hypervisor
import Settings
import TestSupport
import Testing

@testable import HostAgent

/// What becomes of the kept definition of a VM when its sealed move has ended.
struct KeptDefinitionTests {
    private let world = InMemoryWorld.sample()
    private let order = MigrationOrder.sealed(at: .now)

    /// Keeps a definition at the source, ends the order, and returns whether the file is still there.
    private func isKept(belongsHere: Bool, presence: DomainPresence?) async throws -> Bool {
        if let presence { world.place(.testVM(), on: h1, as: presence) }
        return try await withFolder { folder in
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
            let definitions = try #require(moves.definitions)
            try definitions.keep("<domain/>", of: order.id)
            let left = await moves.forget(order, belongsHere: belongsHere)
            let path = try definitions.path(of: order.id)
            let isKept = FileManager.default.fileExists(atPath: path)
            #expect(left == (isKept ? path : nil))
            return isKept
        }
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
