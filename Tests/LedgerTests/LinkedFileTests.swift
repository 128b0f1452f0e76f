// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// Traps that an attacker with access to the ledger's folder puts in place of its files: nothing outside is touched,
/// and no queue hangs permanently.
@Suite(.timeLimit(.minutes(1)))
struct LinkedFileTests {
    enum Trap: CaseIterable, Sendable {
        case link, danglingLink, fifo

        /// Puts it at `path`; `victim` is what a link points to.
        func set(at path: String, victim: String) throws {
            try? FileManager.default.removeItem(atPath: path)
            switch self {
            case .link: try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: victim)
            case .danglingLink:
                try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: victim + ".none")
            case .fifo: guard mkfifo(path, 0o600) == 0 else { throw CocoaError(.fileWriteUnknown) }
            }
        }
    }

    private func log(_ folder: String) -> SharedLog {
        var options = SharedLog.Options()
        options.timeLimit = .seconds(5)
        return SharedLog(folder: folder, writer: h1, security: .unsigned, options: options)
    }

    /// Returns whether the call refused the file as not regular, and did not just time out.
    private func isRefused(_ path: String, _ body: () async throws -> Void) async -> Bool {
        do { try await body() } catch LedgerError.failed(_, path, let reason, false) {
            return reason.contains("not a regular file")
        } catch {
            return false
        }
        return false
    }

    @Test(arguments: ["reports.lock", "reports.000001.jsonl"], Trap.allCases)
    func `a ledger file that is not a regular file is neither written nor read`(name: String, trap: Trap) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let victim = "\(folder).victim"
            try put("precious\n".utf8, into: victim)
            let path = "\(folder)/\(name)"
            try trap.set(at: path, victim: victim)
            let log = log(folder)
            #expect(await isRefused(path) { try await log.append(report(1)) })
            if name != "reports.lock" {
                #expect(await isRefused(path) { _ = try await log.read(OrderReport.self, from: nil) })
            }
            #expect(try contents(of: victim) == Array("precious\n".utf8))
            #expect(!FileManager.default.fileExists(atPath: victim + ".none"))
            // The queues continue once the trap is gone.
            try FileManager.default.removeItem(atPath: path)
            try await log.append(report(1))
            #expect(try await log.read(OrderReport.self, from: nil).records.count == 1)
        }
    }

    @Test(arguments: [Trap.link, .fifo]) func `a marker that is not a regular file is refused`(trap: Trap) async throws
    {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let path = "\(folder)/ledger.json"
            let elsewhere = "\(folder).elsewhere"
            try put(try contents(of: path), into: elsewhere)
            try trap.set(at: path, victim: elsewhere)
            #expect(await isRefused(path) { _ = try LedgerMarker.read(in: folder) })
        }
    }
}
