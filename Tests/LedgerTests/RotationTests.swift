// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import HostOS
import Testing

@testable import Ledger

@Suite(.timeLimit(.minutes(2)))
struct RotationTests {
    /// Runs the body with a log that begins a new segment after a few records.
    private func withSmallSegments(kept: Int, _ body: (SharedLog, SegmentFiles) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await body(log(in: folder, kept: kept), SegmentFiles(folder: folder, stream: .reports))
        }
    }

    /// Returns such a log, whose writer's clock differs from this machine's by `step`.
    private func log(in folder: String, kept: Int, clock step: Duration = .zero) -> SharedLog {
        var options = SharedLog.Options()
        options.segmentBytes = 1000
        options.retention = [
            .reports: Retention(age: .seconds(3600), bytes: kept * options.segmentBytes),
            .load: Retention(age: .seconds(3600), bytes: 100_000),
        ]
        return SharedLog(
            folder: folder,
            writer: .host(HostName("h1")),
            security: .unsigned,
            options: options,
            now: { .now + step }
        )
    }

    private func age(_ number: Int, of files: SegmentFiles, _ seconds: Double) throws {
        let time = Date(timeIntervalSinceNow: -seconds)
        try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: files.path(number))
    }

    @Test
    func `no record is split, lost or read twice across segments`() async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            for number in 1...200 { try await log.append(report(number)) }
            let segments = try files.numbers()
            #expect(segments.count > 10 && segments == Array(1...segments.count))
            for number in segments { #expect(try contents(of: files.path(number)).count <= 1000) }
            for limit in [1, 3, 1000] {
                let batch = try await log.all(OrderReport.self, limit: limit)
                #expect(batch.records.map(\.body.number) == Array(1...200))
                #expect(batch.gap == nil && batch.skipped.isEmpty)
            }
        }
    }

    @Test
    func `a reader continues across a rotation`() async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            let reader = SharedLog(folder: log.folder, writer: .controller, security: .unsigned)
            async let read = numbers(in: reader, upTo: 500)
            for number in 1...500 { try await log.append(report(number)) }
            let seen = try await read
            #expect(seen == Array(1...500))
            #expect(try files.numbers().count > 30)
        }
    }

    @Test
    func `records before a file that cannot be used are read, and then the error is reported`() async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            for number in 1...20 { try await log.append(report(number)) }
            let third = try #require(try files.numbers().dropFirst(2).first)
            let before = try await log.read(OrderReport.self, from: nil, limit: 1000)
            try FileManager.default.removeItem(atPath: files.path(third))
            try FileManager.default.createDirectory(atPath: files.path(third), withIntermediateDirectories: false)
            let batch = try await log.read(OrderReport.self, from: nil, limit: 1000)
            #expect(batch.hasMore && batch.next == Cursor(segment: third, offset: 0))
            #expect(!batch.records.isEmpty && batch.records == Array(before.records.prefix(batch.records.count)))
            await #expect {
                try await log.read(OrderReport.self, from: batch.next, limit: 1000)
            } throws: { error in
                (error as? LedgerError)?.isOfOneFile == true && "\(error)".contains(files.path(third))
            }
        }
    }

    @Test
    func `a record larger than a segment gets one of its own`() async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            let long = report(2, text: String(repeating: "x", count: 5000))
            for entry in [report(1), long, report(3)] { try await log.append(entry) }
            #expect(try files.numbers() == [1, 2, 3])
            #expect(try await log.all(OrderReport.self).records.map(\.body) == [report(1), long, report(3)])
        }
    }

    @Test
    func `a limited number of segments is kept, and a slow reader learns of the gap`() async throws {
        try await withSmallSegments(kept: 3) { log, files in
            try await log.append(report(1))
            let early = try await log.all(OrderReport.self)
            for number in 2...100 { try await log.append(report(number)) }
            let segments = try files.numbers()
            #expect(segments.count == 3)
            let batch = try await log.all(OrderReport.self, from: early.next)
            let oldest = Cursor(segment: try #require(segments.first), offset: 0)
            #expect(batch.gap == LedgerGap(expected: early.next, resumed: oldest))
            let numbers = batch.records.map(\.body.number)
            #expect(numbers.last == 100 && numbers.count > 5)
            #expect(numbers == Array((try #require(numbers.first))...100))
            // A reader that begins without a cursor has missed nothing.
            let fresh = try await log.all(OrderReport.self)
            #expect(fresh.gap == nil && fresh.records == batch.records)
        }
    }

    @Test
    func `segments whose last record is older than the retention's age are removed`() async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            let earlier = self.log(in: log.folder, kept: 1000, clock: .seconds(-3700))
            for number in 1...20 { try await earlier.append(report(number)) }
            let before = try files.numbers()
            // The youngest of these is too old, so all before it are removed, whatever their times are.
            let old = try #require(before.dropLast(2).last)
            try age(old, of: files, 3700)
            for number in 21...30 { try await log.append(report(number)) }
            #expect(try files.numbers().first == old + 1)
        }
    }

    /// One wrong clock must not remove the fleet's history.
    @Test(arguments: [true, false])
    func `segments are kept if only the storage's clock, or only the writers' clocks, say that they are old`(
        isStorageWrong: Bool
    ) async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            let earlier = self.log(in: log.folder, kept: 1000, clock: isStorageWrong ? .zero : .seconds(-100 * 86400))
            for number in 1...20 { try await earlier.append(report(number)) }
            for number in isStorageWrong ? try files.numbers() : [] { try age(number, of: files, 100 * 86400) }
            for number in 21...30 { try await log.append(report(number)) }
            #expect(try files.numbers().first == 1)
        }
    }

    /// Readers take a hole for an alteration.
    @Test func `the oldest segment is removed first, and none after one that cannot be removed`() async throws {
        try await withSmallSegments(kept: 3) { log, files in
            for number in 1...12 { try await log.append(report(number)) }
            let before = try files.numbers()
            try FileManager.default.removeItem(atPath: files.path(before[0]))
            try FileManager.default.createDirectory(atPath: files.path(before[0]), withIntermediateDirectories: false)
            for number in 13...24 { try await log.append(report(number)) }
            let after = try files.numbers()
            #expect(
                after.first == before[0] && after.count > before.count
                    && after == Array(after[0]...after[after.count - 1])
            )
        }
    }

    @Test
    func `a segment ends after an eighth of the retention's age, although it has room`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let log = SharedLog(folder: folder, writer: .operator, security: .unsigned)
            let files = SegmentFiles(folder: folder, stream: .orders)
            func append(daysAgo days: Double) async throws -> Int {
                let at = Date(timeIntervalSinceNow: -days * 86400)
                try await log.append(cancellation(1))
                let active = try files.numbers().last ?? 0
                try FileManager.default.setAttributes([.modificationDate: at], ofItemAtPath: files.path(active))
                return active
            }
            let created = Date(timeIntervalSinceNow: -21 * 86400)
            let marker = "\(folder)/\(SharedLog.markerName)"
            try FileManager.default.setAttributes([.modificationDate: created], ofItemAtPath: marker)
            var segments: [Int] = []
            for days in [20.0, 18, 16, 15, 13, 11] { segments.append(try await append(daysAgo: days)) }
            #expect(segments == [1, 1, 1, 2, 2, 2])
            // The first one was last written 16 days ago, the second one 11.
            #expect(try await append(daysAgo: 10) == 3)
        }
    }

    @Test(arguments: [false, true])
    func `reports beyond the retention's age are kept while an order as old as they are is kept`(
        isOrderOlder: Bool
    ) async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            let ordered = Date(timeIntervalSinceNow: (isOrderOlder ? -41 : -5) * 86400)
            let orders = SharedLog(folder: log.folder, writer: .operator, security: .unsigned) {
                Instant(milliseconds: Int64(ordered.timeIntervalSince1970 * 1000))
            }
            // Few orders: they are all in the segment that is never removed.
            try await orders.append(cancellation(1))
            let earlier = self.log(in: log.folder, kept: 1000, clock: .seconds(-40 * 86400))
            for number in 1...20 { try await earlier.append(report(number)) }
            let before = try files.numbers()
            let old = before.dropLast(2)
            for number in old { try age(number, of: files, 40 * 86400) }
            for number in 21...30 { try await log.append(report(number)) }
            #expect(try files.numbers().first == (isOrderOlder ? 1 : try #require(old.last) + 1))
        }
    }

    @Test
    func `orders do not keep more reports than their size permits`() async throws {
        try await withSmallSegments(kept: 3) { log, files in
            let orders = SharedLog(folder: log.folder, writer: .operator, security: .unsigned, now: { writtenAt })
            try await orders.append(cancellation(1))
            for number in 1...100 { try await log.append(report(number)) }
            #expect(try files.numbers().count == 3)
        }
    }

    @Test
    func `each stream has its own retention`() async throws {
        try await withSmallSegments(kept: 2) { log, files in
            for number in 1...100 {
                try await log.append(report(number))
                try await log.append(sample(number))
            }
            #expect(try files.numbers().count == 2)
            #expect(try await log.allSamples().samples == (1...100).map { sample($0) })
        }
    }

    @Test
    func `the next writer completes an interrupted rotation`() async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            for number in 1...3 { try await log.append(report(number)) }
            // Killed after the lock file named the next segment and before the segment was made.
            try put("000000000002\n".utf8, into: files.lockPath)
            #expect(try await log.all(OrderReport.self).records.count == 3)
            try await log.append(report(4))
            #expect(try files.numbers() == [1, 2])
            #expect(try await log.all(OrderReport.self).records.map(\.body.number) == [1, 2, 3, 4])
        }
    }

    @Test(arguments: ["", "garbage", "000000000001\n", "00000000000x\n"])
    func `an outdated or damaged lock file does not send writers back to an old segment`(content: String) async throws {
        try await withSmallSegments(kept: 1000) { log, files in
            for number in 1...20 { try await log.append(report(number)) }
            let read = try await log.all(OrderReport.self)
            try put(content.utf8, into: files.lockPath)
            try await log.append(report(21))
            let batch = try await log.all(OrderReport.self, from: read.next)
            #expect(batch.records.map(\.body.number) == [21])
        }
    }
}
