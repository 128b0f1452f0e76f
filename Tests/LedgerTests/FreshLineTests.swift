// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// Records that a reader has seen before their writer has synced them.
@Suite(.timeLimit(.minutes(2)))
struct FreshLineTests {
    /// A log, and its reader with marks.
    private struct Site {
        let folder: String
        var marks: String { "\(folder).marks" }
        var segment: String { SegmentFiles(folder: folder, stream: .reports).path(1) }
        let writer: SharedLog

        func reader(durableAfter: Duration = LedgerMarks.appendLimit) -> SharedLog {
            let marks = LedgerMarks(path: marks, durableAfter: durableAfter)
            return SharedLog(folder: folder, writer: .controller, security: .unsigned, marks: marks)
        }

        /// Removes the last line, as a power cut of storage and writer does.
        func cutPower() throws {
            let bytes = try contents(of: segment).dropLast()
            let end = try #require(bytes.lastIndex(of: LineCodec.newline))
            try put(bytes[...end], into: segment)
        }
    }

    private func with(_ body: (Site) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await body(
                Site(folder: folder, writer: SharedLog(folder: folder, writer: h1, security: .unsigned))
            )
        }
    }

    @Test func `a reader that starts after a power cut does not miss the last record that it has read`() async throws {
        try await with { site in
            for number in 1...2 { try await site.writer.append(report(number)) }
            let log = site.reader()
            #expect(try await log.all(OrderReport.self).records.count == 2)
            // An own record makes the marks durable.
            try await log.append(cancellation(1))
            try site.cutPower()
            #expect(try await site.reader().all(OrderReport.self).records.map(\.body.number) == [1])
            // The record before it is missed.
            try put([], into: site.segment)
            await #expect(throws: LedgerError.self) { try await site.reader().read(OrderReport.self, from: nil) }
        }
    }

    @Test func `a running reader reports the loss, and reads what is written in place of the record`() async throws {
        try await with { site in
            for number in 1...2 { try await site.writer.append(report(number)) }
            let log = site.reader()
            var position = ReadPosition()
            var seen: [Int] = []
            func poll() async throws -> LedgerRemarks {
                try await log.readNew(OrderReport.self, from: &position) { seen.append($0.number) }
            }
            #expect(try await poll().isEmpty)
            try site.cutPower()
            let lost = try await poll()
            #expect(lost.count(.lost) == 1 && lost.entries.count == 1 && lost.refused.isEmpty)
            #expect(try await poll().isEmpty && seen == [1, 2])
            // The new record is as long as the lost one.
            try await site.writer.append(report(3))
            #expect(try await poll().isEmpty && seen == [1, 2, 3])
            try site.cutPower()
            try await site.writer.append(report(4))
            try await site.writer.append(report(5, text: "longer than the others"))
            #expect(try await poll().count(.lost) == 1 && seen == [1, 2, 3, 4, 5])
            try await site.writer.append(report(6))
            #expect(try await poll().isEmpty && seen.last == 6)
            try await log.append(cancellation(1))
            #expect(try await site.reader().all(OrderReport.self).records.map(\.body.number) == [1, 4, 5, 6])
        }
    }

    @Test func `a record that another one follows, or that is still there later, is missed`() async throws {
        for isFollowed in [true, false] {
            try await with { site in
                for number in 1...2 { try await site.writer.append(report(number)) }
                let log = site.reader(durableAfter: isFollowed ? LedgerMarks.appendLimit : .milliseconds(50))
                let cursor = try await log.all(OrderReport.self).next
                if isFollowed {
                    try await site.writer.append(report(3))
                    _ = try await log.read(OrderReport.self, from: cursor)
                    try site.cutPower()
                } else {
                    func marked() throws -> Int64? {
                        try MarksFile.read(site.marks)?.marks[LedgerLog(.reports)]?.at.offset
                    }
                    #expect(
                        try await eventually {
                            _ = try await log.read(OrderReport.self, from: cursor)
                            try await log.append(cancellation(1))
                            return try marked() ?? 0 > 0
                        }
                    )
                }
                try await log.append(cancellation(1))
                try site.cutPower()
                await #expect(throws: LedgerError.self) { try await site.reader().read(OrderReport.self, from: nil) }
            }
        }
    }
}
