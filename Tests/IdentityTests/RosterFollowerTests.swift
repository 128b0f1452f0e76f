// SPDX-License-Identifier: Apache-2.0
import Foundation
import Ledger
import Logging
import Testing

@testable import Identity

@Suite struct RosterFollowerTests {
    @Test func `a new roster is loaded again until that succeeds`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            let ledger = "\(cluster.folder)/ledger"
            try await SharedLog.create(folder: ledger)
            let current = CurrentRoster(try await folder.load().roster)
            try await cluster.authority.renew()
            try await cluster.authority.publish(to: ledger)
            let follower = RosterFollower(current, folder: folder, ledgerFolder: ledger)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            var mustLoad = false
            // The roster is in force although loading fails, and loading is tried again although it is in force.
            try FileManager.default.moveItem(atPath: folder.paths.key, toPath: folder.paths.key + ".away")
            for _ in 1...2 {
                await #expect(throws: IdentityError.self) { try await follower.update(logger, &mustLoad) }
                #expect(try mustLoad && current.roster == folder.storedRoster())
            }
            try FileManager.default.moveItem(atPath: folder.paths.key + ".away", toPath: folder.paths.key)
            try await follower.update(logger, &mustLoad)
            #expect(!mustLoad)
        }
    }
}
