// SPDX-License-Identifier: Apache-2.0
import Controller
import Coordination
import Fleet
import Foundation
import Ledger
import Testing

/// What commands read of the past, compared with a reader of everything.
struct RecentHistoryTests {
    @Test(.timeLimit(.minutes(2))) func `a command gets the samples that the controller keeps`() async throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent("ek-history-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: parent) }
        let folder = parent.appendingPathComponent("ledger").path
        try await SharedLog.create(folder: folder)
        let now = Instant(milliseconds: 1_700_000_000_000)
        let hosts = ["h1", "h2"].map { HostName($0) }
        for second in stride(from: 2400, through: 0, by: -5) {
            // The second host has been silent for 10 minutes.
            for host in hosts where host == hosts[0] || second >= 600 {
                let at = now - .seconds(second)
                let log = SharedLog(folder: folder, writer: .host(host), security: .unsigned, now: { at })
                let cpu = CPULoad(capacityCores: 4, busyCores: Double(second % 40) / 10)
                try await log.append(LoadSample(host: host, at: at, intervalSeconds: 5, cpu: cpu))
            }
        }
        let log = SharedLog(folder: folder, writer: .operator, security: .unsigned, now: { now })
        let policy = Policy()
        var (thinned, whole) = (ControllerCore(policy: policy), ControllerCore(policy: policy))
        var follower = LedgerFollower(log, .present(policy, thinned: true, at: now))
        var count = 0
        try await follower.pull(into: &thinned, seen: { _ in count += 1 })
        var everything = LedgerFollower(log)
        try await everything.pull(into: &whole)
        #expect(thinned.hosts == whole.hosts && whole.hosts.count == 2)
        #expect(count < 400, "of \(480 + 360)")
    }
}
