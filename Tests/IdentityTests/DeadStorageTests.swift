// SPDX-License-Identifier: Apache-2.0
import Dispatch
import Ledger
import Testing

@testable import Identity

@Suite struct DeadStorageTests {
    @Test func `a read from unresponsive storage is abandoned, and repeated when the storage answers`() async throws {
        try await Cluster.with { cluster in
            try await cluster.add(1)
            let released = DispatchSemaphore(value: 0)
            let reader = StorageReader(limit: .milliseconds(200)) { path throws(IdentityError) in
                released.wait()
                return try IdentityFiles.readPublished(path)
            }
            let folder = IdentityFolder(cluster.memberFolder("h1"), storage: reader)
            try await SharedLog.create(folder: "\(cluster.folder)/ledger")
            try await cluster.authority.renew()
            try await cluster.authority.publish(to: "\(cluster.folder)/ledger")
            func look() async throws -> IdentityChange {
                try await folder.update(fromLedger: "\(cluster.folder)/ledger")
            }
            let began = ContinuousClock.now
            for words in ["was not read within", "still hangs", "still hangs"] {
                let error = await #expect(throws: IdentityError.self) { _ = try await look() }
                #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
            }
            #expect(ContinuousClock.now - began < .seconds(20), "no wait exceeds the limit")
            for _ in 1...9 { released.signal() }
            var change: IdentityChange?
            for _ in 1...100 where change == nil {
                change = try? await look()
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(change?.isNew == true)
        }
    }

    @Test func `a read that did not begin in time does not block the next`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            let reader = StorageReader(limit: .nanoseconds(1))
            var isHanging = false
            for _ in 1...200 {
                do throws(IdentityError) {
                    _ = try await reader.read(folder.paths.roster)
                    isHanging = false
                } catch {
                    isHanging = error.description.contains("still hangs")
                }
                // A read that began in spite of the limit ends by itself.
                if isHanging { try await Task.sleep(for: .milliseconds(20)) }
            }
            #expect(!isHanging)
        }
    }

    @Test(arguments: ["mkfifo roster.json", "ln -s other roster.json", "mkdir roster.json"])
    func `a link or FIFO in place of a published roster is not followed`(command: String) async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            let ledger = "\(cluster.folder)/ledger"
            try await SharedLog.create(folder: ledger)
            try await cluster.authority.publish(to: ledger)
            _ = try await cluster.shell("cd \(ledger); mv roster.json other; \(command)")
            await #expect(throws: IdentityError.self) { _ = try await folder.update(fromLedger: ledger) }
        }
    }
}
