// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger
import Testing

@testable import HostAgent

/// What a host remembers of what it has done of its orders.
struct OrderJournalTests {
    private let order = MigrationOrder.sample(at: .byTheWallClock)

    private func with(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-begun-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("marks.orders").path)
    }

    @Test func `an order is claimed once, by a later start as well`() async throws {
        try await with { path in
            let begun = OrderJournal(path: path)
            #expect(try begun.claim(.begun, of: order, at: .byTheWallClock))
            #expect(try !begun.claim(.begun, of: order, at: .byTheWallClock))
            #expect(try !OrderJournal(path: path).claim(.begun, of: order, at: .byTheWallClock))
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `a damaged file begins nothing, and the error says which and what to do`() async throws {
        try await with { path in
            _ = try OrderJournal(path: path).claim(.begun, of: order, at: .byTheWallClock)
            try Data("{".utf8).write(to: URL(filePath: path))
            #expect {
                try OrderJournal(path: path).claim(.begun, of: order, at: .byTheWallClock)
            } throws: { error in
                "\(error)".contains(path) && "\(error)".contains("remove the file")
            }
            #expect(try Data(contentsOf: URL(filePath: path)) == Data("{".utf8))
        }
    }
}
