// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// A log that is rolled back or replaced under a reader or writer that has seen more of it.
@Suite(.timeLimit(.minutes(2)))
struct LedgerMarksTests {
    /// A log, and the file of its only user's marks.
    private struct Marked {
        let folder: String
        var marks: String { "\(folder).marks" }
        let cluster = TestCluster()

        /// Opens the log as after a start of the program.
        ///
        /// Without `durableAfter`, lines that were only read count as durable at once.
        func open(marked: Bool = true, segmentBytes: Int = 1 << 20, durableAfter: Duration = .zero) -> SharedLog {
            var options = SharedLog.Options()
            options.segmentBytes = segmentBytes
            options.retention = [
                .reports: Retention(age: .seconds(3600), bytes: 3 * max(segmentBytes, 1500)),
                .load: Retention(age: .seconds(3600), bytes: 3 * max(segmentBytes, 1500)),
            ]
            return SharedLog(
                folder: folder,
                writer: h1,
                security: cluster.security(of: h1),
                marks: marked ? LedgerMarks(path: marks, durableAfter: durableAfter) : nil,
                options: options
            )
        }

        func copy() throws { try FileManager.default.copyItem(atPath: folder, toPath: "\(folder).copy") }

        func restore() throws {
            try FileManager.default.removeItem(atPath: folder)
            try FileManager.default.copyItem(atPath: "\(folder).copy", toPath: folder)
        }

        /// Prevents that the marks are saved: a folder cannot be replaced by a file.
        func block() throws {
            try? FileManager.default.removeItem(atPath: marks)
            try FileManager.default.createDirectory(atPath: marks, withIntermediateDirectories: false)
        }

        func unblock() throws { try FileManager.default.removeItem(atPath: marks) }

        var segments: SegmentFiles { SegmentFiles(folder: folder, stream: .reports) }

        func write(_ numbers: ClosedRange<Int>, to log: SharedLog) async throws {
            for number in numbers { try await log.append(report(number)) }
        }
    }

    private func with(_ body: (Marked) async throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await body(Marked(folder: folder))
        }
    }

    /// Checks that a user with marks can neither read nor write the log, and that one without marks can.
    private func expectRefused(
        _ marked: Marked,
        says words: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let log = marked.open()
        for _ in 1...2 {
            let attempts: [() async throws -> Void] = [
                { _ = try await log.read(OrderReport.self, from: nil) }, { try await log.append(report(99)) },
            ]
            for attempt in attempts {
                await #expect(sourceLocation: sourceLocation) {
                    try await attempt()
                } throws: { error in
                    guard case .rolledBack(_, let reason, mayBeWritten: false) = error as? LedgerError else {
                        return false
                    }
                    return reason.contains(words) && "\(error)".contains("evenkeel ledger accept")
                }
            }
        }
        _ = try await marked.open(marked: false).read(OrderReport.self, from: nil)
    }

    @Test func `a log restored from a copy is refused after a restart`() async throws {
        try await with { marked in
            try await marked.write(1...2, to: marked.open())
            try marked.copy()
            try await marked.write(3...3, to: marked.open())
            try marked.restore()
            try await expectRefused(marked, says: "a line of reports was seen at 1:")
            // An operator accepts the log by removing the marks.
            try FileManager.default.removeItem(atPath: marked.marks)
            let batch = try await marked.open().all(OrderReport.self)
            #expect(batch.records.map(\.body) == [report(1), report(2)])
        }
    }

    @Test func `a record that was only read is missed, too`() async throws {
        try await with { marked in
            try await marked.write(1...2, to: marked.open(marked: false))
            try marked.copy()
            try await marked.write(3...3, to: marked.open(marked: false))
            _ = try await marked.open().all(OrderReport.self)
            try marked.restore()
            try await expectRefused(marked, says: "a line of reports was seen at 1:")
        }
    }

    @Test func `another record in the last one's position is refused`() async throws {
        try await with { marked in
            try await marked.write(1...1, to: marked.open())
            try marked.copy()
            try await marked.write(2...2, to: marked.open())
            try marked.restore()
            // Genuine, of the same length, in the same place, and followed by others.
            try await marked.write(3...9, to: marked.open(marked: false))
            try await expectRefused(marked, says: "another line is there now")
        }
    }

    @Test func `another ledger in the same folder is refused`() async throws {
        try await with { marked in
            try await marked.write(1...1, to: marked.open())
            try FileManager.default.removeItem(atPath: marked.folder)
            try await SharedLog.create(folder: marked.folder)
            try await expectRefused(marked, says: "its id is ")
        }
    }

    @Test func `an emptied log is refused`() async throws {
        try await with { marked in
            try await marked.write(1...1, to: marked.open())
            try FileManager.default.removeItem(atPath: marked.segments.path(1))
            try await expectRefused(marked, says: "a line of reports was seen at 1:0")
        }
    }

    @Test func `records removed by retention are not missed`() async throws {
        try await with { marked in
            try await marked.write(1...1, to: marked.open())
            try await marked.write(2...40, to: marked.open(marked: false, segmentBytes: 1500))
            #expect(try marked.segments.numbers().first ?? 0 > 1)
            let batch = try await marked.open().all(OrderReport.self)
            #expect(batch.records.last?.body == report(40))
        }
    }

    @Test func `a later segment without a genuine line excuses nothing`() async throws {
        try await with { marked in
            try await marked.write(1...1, to: marked.open())
            let line = try contents(of: marked.segments.path(1))
            try FileManager.default.removeItem(atPath: marked.segments.path(1))
            for content in [[], line] {
                try put(content, into: marked.segments.path(2))
                try await expectRefused(marked, says: "this one has no genuine line")
            }
        }
    }

    @Test func `a segment that is gone while an earlier one exists is missed`() async throws {
        try await with { marked in
            // Segment 1 is full when the last seen line goes into segment 2, and others into segment 3.
            try await marked.write(1...1, to: marked.open())
            try await marked.write(2...2, to: marked.open(segmentBytes: 100))
            try await marked.write(3...3, to: marked.open(marked: false, segmentBytes: 100))
            #expect(try marked.segments.numbers() == [1, 2, 3])
            try FileManager.default.removeItem(atPath: marked.segments.path(2))
            try await expectRefused(marked, says: "that segment is missing, but segment 1 exists")
        }
    }

    @Test func `a log that is rolled back under a running reader is refused from then on`() async throws {
        try await with { marked in
            let log = marked.open()
            try await marked.write(1...2, to: log)
            try marked.copy()
            try await marked.write(3...3, to: log)
            let cursor = try await log.all(OrderReport.self).next
            try marked.restore()
            await #expect {
                try await log.read(OrderReport.self, from: cursor)
            } throws: { error in
                guard case .rolledBack = error as? LedgerError else { return false }
                return true
            }
            await #expect(throws: LedgerError.self) { try await log.append(report(4)) }
            #expect(try await marked.open(marked: false).all(OrderReport.self).records.count == 2)
        }
    }

    @Test func `an append that lands before the last mark is not confirmed`() async throws {
        try await with { marked in
            let log = marked.open()
            try await marked.write(1...2, to: log)
            try marked.copy()
            try await marked.write(3...9, to: log)
            try marked.restore()
            await #expect {
                try await log.append(report(10))
            } throws: { error in
                guard case .rolledBack(_, _, mayBeWritten: true) = error as? LedgerError else { return false }
                return true
            }
        }
    }

    @Test func `the marks are private and on the disk before a report is confirmed`() async throws {
        try await with { marked in
            let log = marked.open()
            for number in 1...3 {
                try await log.append(report(number))
                let last = try #require(
                    try contents(of: marked.segments.path(1)).split(separator: LineCodec.newline).last
                )
                #expect(
                    try MarksFile.read(marked.marks)?.marks[LedgerLog(.reports)]?.digest
                        == LedgerMark(at: .origin, line: last).digest
                )
            }
            let mode = try FileManager.default.attributesOfItem(atPath: marked.marks)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func `a report whose mark cannot be stored is not confirmed`() async throws {
        try await with { marked in
            try put([], into: "\(marked.folder).no-folder")
            let marks = LedgerMarks(path: "\(marked.folder).no-folder/marks")
            let log = SharedLog(
                folder: marked.folder,
                writer: h1,
                security: marked.cluster.security(of: h1),
                marks: marks
            )
            await #expect(throws: LedgerError.self) { try await log.append(report(1)) }
        }
    }

    @Test func `an append whose mark cannot be stored is reported as possibly written`() async throws {
        try await with { marked in
            let log = marked.open()
            try await log.append(report(1))
            try marked.block()
            await #expect {
                try await log.append(report(2))
            } throws: { error in
                guard let error = error as? LedgerError else { return false }
                return error.mayBeWritten && "\(error)".contains(marked.marks)
            }
            #expect(try await marked.open(marked: false).all(OrderReport.self).records.count == 2)
        }
    }

    @Test func `reads and samples go on while the marks cannot be saved, and the trouble is shown`() async throws {
        try await with { marked in
            let log = marked.open()
            #expect(try await log.all(OrderReport.self).records.isEmpty)
            #expect(log.localTrouble == nil)
            try marked.block()
            try await marked.write(1...2, to: marked.open(marked: false))
            #expect(try await log.all(OrderReport.self).records.count == 2)
            #expect(log.localTrouble?.contains(marked.marks) == true)
            try await log.append(sample(1))
            #expect(try await log.allSamples().samples.count == 1)
            // What was read is remembered nevertheless.
            try marked.unblock()
            try await log.append(report(3))
            #expect(log.localTrouble == nil)
            #expect(try MarksFile.read(marked.marks)?.marks.count == 2)
        }
    }

    @Test func `a report whose mark cannot be saved is repeated without its line`() async throws {
        try await with { marked in
            let log = marked.open()
            try await log.append(report(1))
            try marked.block()
            for _ in 1...3 {
                await #expect {
                    try await log.append(report(2))
                } throws: { error in
                    guard case .markNotSaved(marked.marks, _) = error as? LedgerError else { return false }
                    return true
                }
            }
            try marked.unblock()
            try await log.append(report(2))
            #expect(try await log.all(OrderReport.self).records.map(\.body) == [report(1), report(2)])
            let last = try contents(of: marked.segments.path(1)).split(separator: LineCodec.newline).last
            #expect(
                try MarksFile.read(marked.marks)?.marks[LedgerLog(.reports)]?.digest
                    == LedgerMark(at: .origin, line: try #require(last)).digest
            )
            // Once it is confirmed, the same report is a new one.
            try await log.append(report(2))
            #expect(try await log.all(OrderReport.self).records.count == 3)
        }
    }

    @Test func `damaged marks do not count as missing ones`() async throws {
        try await with { marked in
            try await marked.write(1...1, to: marked.open())
            try put("{".utf8, into: marked.marks)
            await #expect {
                try await marked.open().read(OrderReport.self, from: nil)
            } throws: { error in
                "\(error)".contains(marked.marks) && "\(error)".contains("not a file of marks")
            }
        }
    }

    @Test func `each writer has its own file of marks`() {
        let writers = [h1, .host(HostName("a/../b")), .host(HostName("a_b")), .controller]
        let paths = writers.map { LedgerMarks.defaultPath(of: $0) }
        #expect(paths.first == "/var/lib/evenkeel/marks-host_3ah1.json")
        #expect(Set(paths).count == 4 && paths.allSatisfy { $0.split(separator: "/").count == 4 })
    }
}
