// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// Folders that a member has filled with files.
@Suite(.timeLimit(.minutes(2)))
struct CrowdedFolderTests {
    private let hosts = (1...12).map { HostName("h\($0)") }

    @Test func `a folder with too many names hides no member's samples, and is said while it lasts`() async throws {
        try await AttackedLedger.with { ledger in
            for host in hosts { try await ledger.open(.host(host)).append(sample(1, host: host)) }
            let log = ledger.open(.controller)
            let folder = "\(ledger.folder)/load"
            try crowd(folder)
            let logs = try await log.logs(of: .load)
            #expect(Set(logs.compactMap(\.writer)) == Set(hosts.map { .host($0) }))
            #expect(try await Set(log.allSamples().samples.map(\.host)) == Set(hosts))
            #expect(log.localTrouble?.contains("\(folder): more than \(FolderListing.maximum) files") == true)
            disperse(folder)
            #expect(try await Set(log.allSamples().samples.map(\.host)) == Set(hosts))
            #expect(log.localTrouble == nil)
        }
    }

    @Test func `without a roster, only some writers of a crowded folder are read`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let log = SharedLog(folder: folder, writer: h1, security: .unsigned)
            try await log.append(sample(1))
            for number in 0...FolderListing.maximum {
                let writer = LedgerWriter.host(HostName("x\(number)"))
                try FileManager.default.createDirectory(
                    atPath: "\(folder)/load/\(writer.folderName)",
                    withIntermediateDirectories: false
                )
            }
            #expect(try await log.logs(of: .load).count == FolderListing.maximum)
            #expect(log.localTrouble?.contains("\(folder)/load") == true)
        }
    }

    @Test func `a ledger whose folder has too many names is read, written and rotated like any other`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            var options = SharedLog.Options()
            options.segmentBytes = 1000
            options.retention = [.reports: Retention(age: .seconds(3600), bytes: 20_000)]
            let log = SharedLog(folder: folder, writer: h1, security: .unsigned, options: options)
            for number in 1...20 { try await log.append(report(number)) }
            let files = SegmentFiles(folder: folder, stream: .reports)
            let before = try files.numbers()
            try crowd(folder)
            #expect(try files.numbers() == before && before.count > 3)
            for number in 21...40 { try await log.append(report(number)) }
            let batch = try await log.all(OrderReport.self)
            #expect(batch.records.map(\.body.number) == Array(1...40) && batch.gap == nil)
            #expect(log.localTrouble?.contains("\(folder): more than") == true)
            let numbers = try files.numbers()
            disperse(folder)
            #expect(try files.numbers() == numbers && numbers.count > before.count)
            #expect(try await log.all(OrderReport.self).records.count == 40)
            #expect(log.localTrouble == nil)
        }
    }

    @Test(arguments: ["", "000000000099\n", "damaged"])
    func `a crowded log whose lock file names no segment is not begun again`(content: String) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            var options = SharedLog.Options()
            options.segmentBytes = 1000
            let log = SharedLog(folder: folder, writer: h1, security: .unsigned, options: options)
            for number in 1...10 { try await log.append(report(number)) }
            let files = SegmentFiles(folder: folder, stream: .reports)
            let before = try files.numbers()
            try crowd(folder)
            try content.write(toFile: files.lockPath, atomically: false, encoding: .utf8)
            let error = await #expect(throws: LedgerError.self) { try await log.append(report(11)) }
            #expect(error.map { "\($0)".contains("more than \(FolderListing.maximum) files") } == true)
            disperse(folder)
            #expect(try files.numbers() == before)
            try await log.append(report(11))
            #expect(try await log.all(OrderReport.self).records.map(\.body.number) == Array(1...11))
        }
    }
}
