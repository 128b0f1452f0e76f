// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Hypervisor
import Ledger
import Settings
import Synchronization
import TestSupport
import Testing

@testable import HostAgent

/// The journal of a host's orders.
struct OrderJournalTests {
    private let order = MigrationOrder.testOrder(at: .now)

    private func with(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-begun-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("marks.orders").path)
    }

    @Test func `an order is claimed once, also across restarts`() async throws {
        try await with { path in
            let begun = OrderJournal(path: path)
            #expect(try begun.claim(.begun, of: order, at: .now))
            #expect(try !begun.claim(.begun, of: order, at: .now))
            #expect(try !OrderJournal(path: path).claim(.begun, of: order, at: .now))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `an entry is recorded once, and again after it was erased`() async throws {
        try await with { path in
            let journal = OrderJournal(path: path)
            #expect(try await journal.record(.begun, of: order))
            #expect(try await !journal.record(.begun, of: order))
            try await journal.erase(.begun, of: order)
            #expect(try await journal.record(.begun, of: order))
        }
    }

    @Test func `a journal lists the orders that it has begun`() async throws {
        try await with { path in
            let journal = OrderJournal(path: path)
            #expect(try journal.orders(with: .begun).isEmpty)
            _ = try journal.claim(.begun, of: order, at: .now)
            #expect(try OrderJournal(path: path).orders(with: .begun) == [order.id])
            #expect(try journal.orders(with: .released).isEmpty)
            try journal.strike(.begun, of: order)
            #expect(try journal.orders(with: .begun).isEmpty)
        }
    }

    @Test func `a clock that is far ahead removes no entry, and a later order does`() async throws {
        try await with { path in
            let journal = OrderJournal(path: path)
            let day = Duration.seconds(86400)
            _ = try journal.claim(.begun, of: order, at: .now)
            var next = MigrationOrder.testOrder(at: .now)
            next.id = OrderID("next")
            #expect(try journal.claim(.started, of: next, at: .now + day * 400))
            #expect(try !journal.claim(.begun, of: order, at: .now))
            // Neither does an order with a time that is far ahead.
            var ahead = MigrationOrder.testOrder(at: .now + day * 400)
            ahead.id = OrderID("ahead")
            #expect(try journal.claim(.begun, of: ahead, at: .now))
            #expect(try journal.entry(.begun, of: order) == .present)
            var later = MigrationOrder.testOrder(at: .now + day * 3)
            later.id = OrderID("later")
            #expect(try journal.claim(.begun, of: later, at: .now + day * 3))
            #expect(try journal.entry(.begun, of: order) == .none)
        }
    }

    @Test func `a damaged journal begins nothing, and its error names file and next step`() async throws {
        try await with { path in
            _ = try OrderJournal(path: path).claim(.begun, of: order, at: .now)
            try Data("{".utf8).write(to: URL(filePath: path))
            #expect {
                try OrderJournal(path: path).claim(.begun, of: order, at: .now)
            } throws: { error in
                "\(error)".contains(path) && "\(error)".contains("remove the file")
            }
            #expect(try Data(contentsOf: URL(filePath: path)) == Data("{".utf8))
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a write that hangs blocks neither a question nor a thread of the pool`()
        async throws
    {
        try await with { path in
            let journal = OrderJournal(path: path)
            let release = try await hold(journal)
            defer { release.signal() }
            let moves = SealedMoves(
                host: h1,
                settings: .sample(),
                hypervisor: InMemoryWorld.sample().hypervisor(of: h1),
                keys: SealedKeys(),
                journal: journal
            )
            guard case .failure(let failure) = await moves.recall(order) else {
                throw Unexpected(description: "it waited until it was let go")
            }
            #expect(failure.kind == .inDoubt && failure.text.contains("Check whether the storage hangs"))
        }
    }

    @Test func `a journal entry that could not be read is not removed`() async throws {
        try await with { path in
            let world = InMemoryWorld.sample()
            world.place(.testVM(), on: h1)
            var settings = Settings.sample()
            settings.migration.sealedFolder = path + ".sealed"
            let folder = "\(settings.migration.sealedFolder)/\(order.id)"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            _ = try await world.hypervisor(of: h1).save(order.vm, in: folder, timeLimit: .seconds(5)) { _ in }
            let journal = OrderJournal(path: path)
            #expect(try journal.claim(.started, of: order, at: .now))
            let release = try await hold(journal)
            defer { release.signal() }
            let moves = SealedMoves(
                host: h1,
                settings: settings,
                hypervisor: world.hypervisor(of: h1),
                keys: SealedKeys(),
                journal: journal
            )
            // The agent stops while it waits for the journal.
            let attempt = Task { await moves.takeBack(order, startsWithHost: false) }
            attempt.cancel()
            guard case .failure(let failure) = await attempt.value else {
                throw Unexpected(description: "it ran from an image that may have run before")
            }
            #expect(failure.kind == .inDoubt && failure.text.contains("the agent is stopping"), "\(failure.text)")
            release.signal()
            // Even when the journal is readable again, the VM does not run from its image a second time.
            try await eventually("it is let go") { journal.entries.withLockIfAvailable { _ in } != nil }
            guard case .failure(let later) = await moves.takeBack(order, startsWithHost: false) else {
                throw Unexpected(description: "it ran from an image that may have run before")
            }
            #expect(later.kind == .inDoubt && later.text.contains("may have been started"), "\(later.text)")
            #expect(try journal.entry(.started, of: order) == .present)
            #expect(FileManager.default.fileExists(atPath: "\(folder)/\(order.vm).image"))
            #expect(world.hostsRunning(order.vm) == [])
        }
    }

    /// Locks the journal until it is released, like a write that waits for its storage.
    private func hold(_ journal: OrderJournal) async throws -> DispatchSemaphore {
        let release = DispatchSemaphore(value: 0)
        Thread {
            journal.entries.withLock { _ in
                _ = release.wait(timeout: .now() + 20)
            }
        }.start()
        try await eventually("it is held") { journal.entries.withLockIfAvailable { _ in } == nil }
        return release
    }
}
