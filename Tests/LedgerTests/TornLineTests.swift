// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Ledger

/// The torn lines of killed writers.
@Suite(.timeLimit(.minutes(2)))
struct TornLineTests {
    /// Runs the body with a log of two records: its files, the file's bytes and the beginning of the last record.
    private func withTwoRecords(
        last: OrderReport,
        signed: Bool = false,
        _ body: (SharedLog, SegmentFiles, [UInt8], Int) async throws -> Void
    ) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let writer = LedgerWriter.host(HostName("h1"))
            let security = signed ? TestCluster().security(of: writer) : .unsigned
            let log = SharedLog(folder: folder, writer: writer, security: security)
            let files = SegmentFiles(folder: folder, stream: .reports)
            try await log.append(report(1))
            let beginning = try contents(of: files.path(1)).count
            try await log.append(last)
            try await body(log, files, try contents(of: files.path(1)), beginning)
        }
    }

    /// Cuts the last line after `kept` bytes, and checks a reader and the next writer.
    private func check(
        cutAfter kept: Int,
        log: SharedLog,
        files: SegmentFiles,
        whole: [UInt8],
        beginning: Int
    )
        async throws
    {
        try put(whole[..<(beginning + kept)], into: files.path(1))
        let before = try await log.all(OrderReport.self)
        #expect(before.records.map(\.body.number) == [1], "cut after \(kept)")
        #expect(before.skipped.isEmpty, "an unfinished line must wait: cut after \(kept)")
        #expect(before.next == Cursor(segment: 1, offset: Int64(beginning)), "cut after \(kept)")

        try await log.append(report(3))
        for cursor in [nil, before.next] {
            let after = try await log.all(OrderReport.self, from: cursor)
            #expect(after.records.map(\.body) == (cursor == nil ? [report(1), report(3)] : [report(3)]), "\(kept)")
            #expect(after.skipped.map(\.reason) == (kept == 0 ? [] : [.torn]), "cut after \(kept)")
            #expect(after.skipped.allSatisfy { $0.at == before.next }, "cut after \(kept)")
        }
    }

    @Test(arguments: [false, true])
    func `a line cut anywhere is never read and never joined to the next`(signed: Bool) async throws {
        try await withTwoRecords(last: report(2, text: "é"), signed: signed) { log, files, whole, beginning in
            // Up to the whole line without its newline, which is complete JSON but was never confirmed.
            for kept in 0..<(whole.count - beginning) {
                try await check(cutAfter: kept, log: log, files: files, whole: whole, beginning: beginning)
            }
        }
    }

    @Test
    func `a long line cut at random is never read and never joined to the next`() async throws {
        var random = SplitMix64.announced("aLongLineCutAtRandom")
        try await withTwoRecords(last: report(2, text: String(repeating: "日本", count: 150_000))) {
            log,
            files,
            whole,
            beginning in
            for _ in 0..<20 {
                let kept = Int.random(in: 0..<(whole.count - beginning), using: &random)
                try await check(cutAfter: kept, log: log, files: files, whole: whole, beginning: beginning)
            }
        }
    }

    @Test(arguments: [false, true])
    func `a writer killed while closing a torn line leaves it torn`(signed: Bool) async throws {
        try await withTwoRecords(last: report(2), signed: signed) { log, files, whole, _ in
            try put(whole.dropLast() + [LineCodec.tornMark], into: files.path(1))
            try await log.append(report(3))
            let batch = try await log.all(OrderReport.self)
            #expect(batch.records.map(\.body.number) == [1, 3])
            #expect(batch.skipped.map(\.reason) == [.torn])
        }
    }

    @Test
    func `an unfinished last line is skipped once a later segment exists`() async throws {
        try await withTwoRecords(last: report(2)) { log, files, whole, beginning in
            try put(whole.dropLast(5), into: files.path(1))
            let waiting = try await log.all(OrderReport.self)
            #expect(waiting.next == Cursor(segment: 1, offset: Int64(beginning)))
            try put(whole[..<beginning], into: files.path(2))
            let batch = try await log.all(OrderReport.self, from: waiting.next)
            #expect(batch.records.map(\.body.number) == [1])
            #expect(batch.skipped.map(\.reason) == [.torn])
            #expect(batch.next == Cursor(segment: 2, offset: Int64(beginning)) && batch.gap == nil)
        }
    }

    @Test
    func `damaged lines are listed, and the others are read`() async throws {
        var random = SplitMix64.announced("damagedLines")
        try await withTwoRecords(last: report(2)) { log, files, whole, _ in
            var bytes = whole
            for _ in 0..<50 {
                let garbage = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                    UInt8.random(in: 11...255, using: &random)
                }
                bytes += garbage + [LineCodec.newline]
            }
            bytes += [UInt8](repeating: 0, count: 5000) + [LineCodec.newline]
            bytes += [UInt8](repeating: UInt8(ascii: "x"), count: 9 << 20) + [LineCodec.newline]
            try put(bytes, into: files.path(1))
            try await log.append(report(3))
            let batch = try await log.all(OrderReport.self, limit: 10)
            #expect(batch.records.map(\.body.number) == [1, 2, 3])
            #expect(batch.skipped.count == 52)
            #expect(batch.skipped.last?.reason == .tooLong)
            #expect(batch.skipped.last?.bytes == 9 << 20)
        }
    }
}
