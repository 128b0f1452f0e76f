// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Testing

@testable import Ledger

/// Processes that append to one log and are killed at any moment.
@Suite(.timeLimit(.minutes(3)))
struct KilledWritersTests {
    private static let segmentBytes = 1 << 20
    private static let writers = 8
    private static let kills = 80

    @Test(arguments: [false, true])
    func `every confirmed record is read once and in order, and torn lines are never data`(signed: Bool) async throws {
        var random = SplitMix64.announced("KilledWriters")
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let keys = signed ? try WriterKeys(folder: "\(folder).keys", hosts: Crew.names(Self.writers) + ["h1"]) : nil
            let security = keys?.security(of: "h1") ?? .unsigned
            let log = SharedLog(folder: folder, writer: .host(HostName("h1")), security: security)
            var crew = try Crew(size: Self.writers, folder: folder, segmentBytes: Self.segmentBytes, keys: keys?.folder)
            let live = LiveReader(log: log)
            for _ in 0..<Self.kills {
                // Time for the writers; no step of the test depends on how much they write.
                try await Task.sleep(for: .milliseconds(Int.random(in: 5...60, using: &random)))
                try crew.replace(Int.random(in: 0..<Self.writers, using: &random))
                if Bool.random(using: &random) { try await Self.tearLine(folder: folder, using: &random) }
                try await live.catchUp()
            }
            crew.killAll()
            // Closes the line that the last killed writer may have left.
            try await log.append(report(0, text: "end"))
            try await live.catchUp()

            let whole = try await log.all(OrderReport.self)
            #expect(whole.records == live.records, "a follower sees what a later reader sees")
            #expect(whole.skipped == live.skipped && whole.gap == nil)
            #expect(whole.skipped.allSatisfy { $0.reason == .torn })
            #expect(whole.skipped.count >= 10)
            let segments = try SegmentFiles(folder: folder, stream: .reports).numbers().count
            #expect(segments > 3)
            let confirmed = try check(whole.records.dropLast().map(\.body), against: crew)
            print(
                "KilledWriters, \(signed ? "signed" : "unsigned"): \(Self.kills) kills, \(confirmed) confirmed, \(whole.records.count - 1) read, "
                    + "\(whole.skipped.count) torn lines passed over, \(segments) segments"
            )
        }
    }

    /// Checks each writer's records against its confirmations; returns the number of confirmations.
    private func check(_ read: [OrderReport], against crew: Crew) throws -> Int {
        let byRun = Dictionary(grouping: read) {
            $0.order.rawValue.split(separator: "/").dropLast().joined(separator: "/")
        }
        #expect(Set(byRun.keys).isSubset(of: crew.runs.keys))
        var total = 0
        for (run, output) in crew.runs {
            let confirmed = try Self.confirmed(in: output)
            let numbers = byRun[run, default: []].map { Int($0.at.milliseconds) }
            // In order, without gaps or repetitions; the last record may be written but not confirmed.
            #expect(numbers == Array(1..<(numbers.count + 1)), "\(run)")
            #expect(numbers.count == confirmed || numbers.count == confirmed + 1, "\(run) confirmed \(confirmed)")
            total += confirmed
        }
        for report in read {
            let intact = Crew.report(order: report.order, host: report.host, number: Int(report.at.milliseconds))
            #expect(report == intact, "\(report.order) was changed")
        }
        return total
    }

    /// Returns how many appends a writer confirmed; the kill may have cut its last line.
    private static func confirmed(in output: String) throws -> Int {
        guard FileManager.default.fileExists(atPath: output) else { return 0 }
        let said = String(decoding: try contents(of: output), as: UTF8.self)
        let numbers = said.split(separator: "\n", omittingEmptySubsequences: false).dropLast().compactMap { Int($0) }
        #expect(numbers == Array(1..<(numbers.count + 1)))
        return numbers.count
    }

    /// Leaves a torn line like a writer that is killed in the middle of a write.
    ///
    /// A real kill seldom happens at that moment, as one write takes microseconds.
    private static func tearLine(folder: String, using random: inout SplitMix64) async throws {
        let record = LedgerRecord(writer: .operator, at: writtenAt, body: report(1, text: "torn é"))
        let line = try LineCodec.draft(record, signer: nil, limit: 1 << 20).line(at: .origin)
        let part = Array(line[..<Int.random(in: 1..<line.count, using: &random)])
        let files = SegmentFiles(folder: folder, stream: .reports)
        let stalled: @Sendable (Bool) -> LedgerError = { .stalled(path: folder, waited: .zero, mayBeWritten: $0) }
        try await Blocking.run(within: .seconds(60), late: stalled) { () throws(LedgerError) in
            let lock = try WriteLock.acquire(in: files, within: LockWait(.seconds(50)))
            guard let number = try lock.activeSegment(), files.exists(number),
                let segment = try OpenFile.open(files.path(number), flags: O_RDWR | O_APPEND)
            else { return }
            try segment.append(part, after: try segment.size())
        }
    }
}

/// Continues to read from its last position.
private final class LiveReader {
    private let log: SharedLog
    private var cursor: Cursor?
    private(set) var records: [LedgerRecord<OrderReport>] = []
    private(set) var skipped: [SkippedLine] = []

    init(log: SharedLog) { self.log = log }

    func catchUp() async throws {
        let batch = try await log.all(OrderReport.self, from: cursor, limit: 50)
        #expect(batch.gap == nil)
        cursor = batch.next
        records += batch.records
        skipped += batch.skipped
    }
}
