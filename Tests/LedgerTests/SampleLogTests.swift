// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// The samples of the shared log: each host writes its own files.
@Suite(.timeLimit(.minutes(2)))
struct SampleLogTests {
    private func files(_ ledger: AttackedLedger, of writer: LedgerWriter) -> SegmentFiles {
        SegmentFiles(ledger: ledger.folder, log: LedgerLog(.load, of: writer))
    }

    private func samples(_ ledger: AttackedLedger) async throws -> (numbers: [Int], remarks: LedgerRemarks) {
        let reader = SharedLog(
            folder: ledger.folder,
            writer: .controller,
            security: ledger.cluster.readersSecurity,
            now: { writtenAt }
        )
        let read = try await reader.allSamples()
        return (read.samples.map(\.number), read.remarks)
    }

    @Test func `a host's samples are in a folder of its own, and make no lock`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await SharedLog(folder: folder, writer: h1, security: .unsigned).append(sample(1))
            #expect(try names(in: folder) == ["ledger.json", "load"])
            #expect(try names(in: "\(folder)/load") == ["host%3ah1"])
            #expect(try names(in: "\(folder)/load/host%3ah1") == ["000001.jsonl"])
        }
    }

    @Test func `the ledger's folder may be a symbolic link`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try FileManager.default.createSymbolicLink(atPath: "\(folder).link", withDestinationPath: folder)
            let log = SharedLog(folder: "\(folder).link", writer: h1, security: .unsigned)
            try await log.append(sample(1))
            try await log.append(report(2))
            #expect(try await log.allSamples().samples == [sample(1)])
            #expect(try await log.all(OrderReport.self).records.map(\.body) == [report(2)])
        }
    }

    @Test(arguments: ["h1", "a b", "ä/../ö", "..", "%3a", "A.b-c", "日本"])
    func `each writer has a folder name of its own`(host: String) {
        let writer = LedgerWriter.host(HostName(host))
        #expect(LedgerWriter(folderName: writer.folderName) == writer)
        #expect(!writer.folderName.contains("/"))
        #expect(LedgerLog("load/\(writer)") == LedgerLog(.load, of: writer))
    }

    @Test func `names that are no writer's folder are none`() {
        for name in ["host%3Ah1", "host:h1", "host%3", "host%zz", "nobody", ""] {
            #expect(LedgerWriter(folderName: name) == nil, "\(name)")
        }
    }

    @Test func `files of an unknown or removed writer are not read`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(sample(1))
            try await ledger.open(h2).append(sample(2, host: HostName("h2")))
            let stranger = LedgerWriter.host(HostName("stranger"))
            let security = TestCluster.forger(of: stranger, with: SigningKey())
            try await ledger.forge(stranger, security).append(sample(3, host: HostName("stranger")))
            #expect(try await samples(ledger).numbers == [1, 2])
            ledger.cluster.revoke(h2, at: writtenAt, ends: ["load": Cursor(segment: 9, offset: 0)])
            let read = try await samples(ledger)
            #expect(read.numbers == [1] && read.remarks.isEmpty)
        }
    }

    @Test func `a sample copied to another host's file does not count`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(sample(1))
            try FileManager.default.createDirectory(
                atPath: files(ledger, of: h2).folder,
                withIntermediateDirectories: false
            )
            try FileManager.default.copyItem(
                atPath: files(ledger, of: h1).path(1),
                toPath: files(ledger, of: h2).path(1)
            )
            let read = try await samples(ledger)
            #expect(read.numbers == [1] && read.remarks.count(.wrongPlace, of: h1) == 1)
        }
    }

    @Test func `an unsigned sample counts only in its writer's file`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let log = SharedLog(folder: folder, writer: h1, security: .unsigned)
            try await log.append(sample(1))
            try FileManager.default.copyItem(atPath: "\(folder)/load/host%3ah1", toPath: "\(folder)/load/host%3ah2")
            let read = try await log.allSamples()
            #expect(read.samples == [sample(1)] && read.remarks.count(.notForWriter) == 1)
        }
    }

    /// What one member, or an attacker, may do to one host's files.
    enum Damage: CaseIterable, Sendable {
        case linkInPlaceOfFolder, fifo, tooManyFiles

        func apply(to files: SegmentFiles) throws {
            switch self {
            case .linkInPlaceOfFolder:
                try FileManager.default.moveItem(atPath: files.folder, toPath: "\(files.ledger).elsewhere")
                try FileManager.default.createSymbolicLink(
                    atPath: files.folder,
                    withDestinationPath: "\(files.ledger).elsewhere"
                )
            case .fifo:
                try FileManager.default.removeItem(atPath: files.path(1))
                guard mkfifo(files.path(1), 0o600) == 0 else { throw CocoaError(.fileWriteUnknown) }
            case .tooManyFiles:
                for number in 0...FolderListing.maximum { try put([], into: "\(files.folder)/x\(number)") }
            }
        }
    }

    @Test(arguments: Damage.allCases)
    func `damaged files of one host cost only its samples, and are reported`(damage: Damage) async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(sample(1))
            try await ledger.open(h2).append(sample(2, host: HostName("h2")))
            try damage.apply(to: files(ledger, of: h1))
            let read = try await samples(ledger)
            #expect(read.numbers == [2])
            #expect(read.remarks.count(.unusable, of: h1) == 1 && read.remarks.entries.count == 1)
            if damage == .linkInPlaceOfFolder {
                await #expect(throws: LedgerError.self) { try await ledger.open(h1).append(sample(3)) }
            }
        }
    }

    @Test(arguments: ["999999999", "009999", "9999999999999999999999", "9223372036854775807"])
    func `a file with a huge number leads neither readers nor writers away`(number: String) async throws {
        try await AttackedLedger.with { ledger in
            let log = ledger.open(h1)
            let reports = "\(ledger.folder)/reports.\(number).jsonl"
            try await log.append(sample(1))
            try put([], into: reports)
            try put([], into: "\(files(ledger, of: h1).folder)/\(number).jsonl")
            try await log.append(report(2))
            try await log.append(sample(2))
            // A damaged lock file makes the next writer list the folder.
            try put([], into: "\(ledger.folder)/reports.lock")
            try await log.append(report(3))
            #expect(try await samples(ledger).numbers == [1, 2])
            let read = try await ledger.verified()
            #expect(read.numbers == [1, 2, 3] && read.remarks.isEmpty)
            #expect(try contents(of: reports).isEmpty)
        }
    }

    @Test func `samples of the layout with one log for all hosts are read`() async throws {
        try await AttackedLedger.with { ledger in
            let shared = SegmentFiles(folder: ledger.folder, stream: .load)
            let appender = SegmentAppender(
                files: shared,
                segmentBytes: 1 << 20,
                retention: Retention(age: .seconds(3600), bytes: 1 << 20),
                lockWait: .seconds(10)
            )
            let signer = LineSigner(
                ledger: try LedgerMarker.read(in: ledger.folder).id ?? "",
                key: ledger.cluster.key(of: h1)
            )
            for number in 1...2 {
                let record = LedgerRecord(writer: h1, at: writtenAt, body: sample(number))
                _ = try appender.append(try LineCodec.draft(record, signer: signer, limit: 1 << 20))
            }
            try await ledger.open(h1).append(sample(3))
            let read = try await samples(ledger)
            #expect(read.numbers == [1, 2, 3] && read.remarks.isEmpty)
            #expect(try shared.numbers() == [1], "nobody writes to it any more")
        }
    }

    @Test func `a writer removes its own old files only`() async throws {
        try await AttackedLedger.with { ledger in
            var options = SharedLog.Options()
            options.segmentBytes = 2000
            options.retention = [.load: Retention(age: .seconds(3600), bytes: 4000)]
            let log = SharedLog(
                folder: ledger.folder,
                writer: h1,
                security: ledger.cluster.security(of: h1),
                options: options,
                now: { writtenAt }
            )
            for number in 1...3 { try await ledger.open(h2).append(sample(number, host: HostName("h2"))) }
            for number in 1...30 { try await log.append(sample(number)) }
            #expect(try files(ledger, of: h1).numbers().count == 2)
            #expect(try files(ledger, of: h2).numbers() == [1])
            let read = try await log.allSamples()
            #expect(read.samples.filter { $0.host == HostName("h1") }.last?.number == 30)
            #expect(read.samples.filter { $0.host == HostName("h2") }.map(\.number) == [1, 2, 3])
        }
    }

    @Test func `a host's lost file stops the others neither at once nor after a restart`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(sample(1))
            try await ledger.open(h2).append(sample(2, host: HostName("h2")))
            let security = ledger.cluster.security(of: .controller)
            func open() -> SharedLog {
                let marks = LedgerMarks(path: "\(ledger.folder).marks")
                return SharedLog(folder: ledger.folder, writer: .controller, security: security, marks: marks)
            }
            let log = open()
            var follower = SampleFollower()
            _ = try await follower.readNew(in: log, .everything) { _ in }
            try await log.append(cancellation(1))
            try FileManager.default.removeItem(atPath: files(ledger, of: h1).path(1))
            try await ledger.open(h2).append(sample(3, host: HostName("h2")))
            var seen: [Int] = []
            let remarks = try await follower.readNew(in: log, .everything) { seen.append($0.number) }
            #expect(seen == [3] && remarks.count(.unusable, of: h1) == 1)
            // The host continues in a new file.
            try await ledger.open(h1).append(sample(4))
            _ = try await follower.readNew(in: log, .everything) { seen.append($0.number) }
            #expect(seen == [3, 4])
            #expect(try await open().allSamples().samples.map(\.number).sorted() == [2, 3, 4])
        }
    }

    enum Loss: CaseIterable {
        case truncated, folderRemoved
    }

    @Test(arguments: Loss.allCases)
    func `a host whose own samples were lost says so and goes on, also after a restart`(loss: Loss) async throws {
        try await AttackedLedger.with { ledger in
            let security = ledger.cluster.security(of: h1)
            func open() -> SharedLog {
                let marks = LedgerMarks(path: "\(ledger.folder).marks")
                return SharedLog(
                    folder: ledger.folder,
                    writer: h1,
                    security: security,
                    marks: marks,
                    now: { writtenAt }
                )
            }
            for isRestarted in [true, false] {
                var log = open()
                for number in 1...3 { try await log.append(sample(number)) }
                // Makes the marks durable, those of the samples, too.
                try await log.append(report(2))
                #expect(log.localTrouble == nil)
                switch loss {
                case .truncated: try put([], into: files(ledger, of: h1).path(1))
                case .folderRemoved: try FileManager.default.removeItem(atPath: files(ledger, of: h1).folder)
                }
                if isRestarted { log = open() }
                try await log.append(report(3))
                #expect(try await !log.all(OrderReport.self).records.isEmpty)
                try await log.append(sample(4))
                #expect(log.localTrouble?.contains("load/host:h1 were removed or rolled back") == true)
                try await log.append(sample(5))
                #expect(log.localTrouble == nil)
                #expect(try await samples(ledger).numbers == [4, 5])
                try FileManager.default.removeItem(atPath: files(ledger, of: h1).folder)
                try FileManager.default.removeItem(atPath: "\(ledger.folder).marks")
            }
        }
    }

    @Test func `a mark of the log that all hosts shared is not missed`() async throws {
        try await AttackedLedger.with { ledger in
            let marks = "\(ledger.folder).marks"
            var file = MarksFile(ledger: try LedgerMarker.read(in: ledger.folder).id)
            file.streams["load"] = LedgerMark(at: Cursor(segment: 3, offset: 77), line: [1])
            try file.write(to: marks)
            let security = ledger.cluster.security(of: h1)
            let log = SharedLog(
                folder: ledger.folder,
                writer: h1,
                security: security,
                marks: LedgerMarks(path: marks),
                now: { writtenAt }
            )
            try await log.append(sample(1))
            #expect(try await log.allSamples().samples == [sample(1)])
        }
    }
}
