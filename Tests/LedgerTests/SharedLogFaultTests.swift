// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

@Suite(.timeLimit(.minutes(2)))
struct SharedLogFaultTests {
    private func log(
        _ folder: String,
        lockWait: Duration = .seconds(10),
        timeLimit: Duration = .seconds(30)
    ) -> SharedLog {
        var options = SharedLog.Options()
        options.lockWait = lockWait
        options.timeLimit = timeLimit
        return SharedLog(folder: folder, writer: .host(HostName("h1")), security: .unsigned, options: options)
    }

    @Test
    func `a missing folder is named, and nothing is created`() async throws {
        try await withTemporaryFolder { folder in
            let missing = LedgerError.notALedger(path: folder, reason: "it does not exist")
            await #expect(throws: missing) { try await log(folder).append(report(1)) }
            await #expect(throws: missing) { try await log(folder).read(OrderReport.self, from: nil) }
            #expect(!FileManager.default.fileExists(atPath: folder))
        }
    }

    @Test
    func `a folder that is not a ledger is not written to`() async throws {
        try await withTemporaryFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            let unmarked = LedgerError.notALedger(path: folder, reason: "ledger.json is missing in it")
            await #expect(throws: unmarked) { try await log(folder).append(report(1)) }
            await #expect(throws: unmarked) { try await log(folder).read(OrderReport.self, from: nil) }
            #expect(try names(in: folder).isEmpty)
        }
    }

    @Test(arguments: ["3", "2", "4.0", "4.2", nil])
    func `a ledger on NFS version 3 or 2 is neither read nor written`(version: String?) async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            var options = SharedLog.Options()
            options.nfsVersion = { _ in version }
            let log = SharedLog(folder: folder, writer: h1, security: .unsigned, options: options)
            guard let version, !version.hasPrefix("4") else {
                try await log.append(report(1))
                #expect(try await log.all(OrderReport.self).records.count == 1)
                return
            }
            let unsuitable = LedgerError.unsuitableNFS(path: folder, version: version)
            for _ in 1...2 {
                await #expect(throws: unsuitable) { try await log.append(report(1)) }
                await #expect(throws: unsuitable) { try await log.read(OrderReport.self, from: nil) }
            }
            #expect("\(unsuitable)".contains("vers=4.1"))
            #expect(try names(in: folder) == ["ledger.json"])
        }
    }

    @Test
    func `only owner and group may read the files of a new ledger`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await SharedLog.create(folder: folder)
            try await log(folder).append(report(1))
            #expect(try names(in: folder) == ["ledger.json", "reports.000001.jsonl", "reports.lock"])
            func mode(_ path: String) throws -> Int? {
                try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            }
            #expect(try mode(folder) == 0o750)
            for name in try names(in: folder) { #expect(try mode("\(folder)/\(name)") == 0o640) }
        }
    }

    @Test
    func `the wait for a lock of another process ends in time`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let lock = "\(folder)/reports.lock"
            let said = "\(folder)/holder.out"
            let holder = try HelperProcess(["hold", lock], output: said)
            #expect(try await eventually { try contents(of: said) == Array("held\n".utf8) })

            let start = ContinuousClock.now
            await #expect {
                try await log(folder, lockWait: .milliseconds(300)).append(report(1))
            } throws: { error in
                guard case .lockTimedOut(lock, let waited) = error as? LedgerError else { return false }
                return waited >= .milliseconds(300)
            }
            #expect(ContinuousClock.now - start < .seconds(5))
            // Another stream has another lock, and samples need none.
            let other = SharedLog(folder: folder, writer: .controller, security: .unsigned)
            try await other.append(cancellation(1))
            try await log(folder, lockWait: .milliseconds(300)).append(sample(1))

            async let waiting: Void = log(folder, lockWait: .seconds(30)).append(report(2))
            holder.finish()
            try await waiting
            #expect(try await log(folder).all(OrderReport.self).records.map(\.body.number) == [2])
        }
    }

    @Test
    func `a writer locks the segment that it writes, too`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await log(folder).append(report(1))
            // A writer whose lock on the stream was lost, and which still holds the file.
            let segment = "\(folder)/reports.000001.jsonl"
            let said = "\(folder)/holder.out"
            let holder = try HelperProcess(["hold", segment], output: said)
            #expect(try await eventually { try contents(of: said) == Array("held\n".utf8) })
            await #expect {
                try await log(folder, lockWait: .milliseconds(300)).append(report(2))
            } throws: { error in
                guard case .lockTimedOut(segment, _) = error as? LedgerError else { return false }
                return true
            }
            holder.finish()
            try await log(folder).append(report(3))
            #expect(try await log(folder).all(OrderReport.self).records.map(\.body.number) == [1, 3])
        }
    }

    @Test
    func `the waits of one append for its locks end together`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            try await log(folder).append(report(1))
            let (lock, segment) = ("\(folder)/reports.lock", "\(folder)/reports.000001.jsonl")
            let said = "\(folder)/holder.out"
            let first = try HelperProcess(["hold", lock], output: said)
            #expect(try await eventually { try contents(of: said) == Array("held\n".utf8) })
            let second = try HelperProcess(["hold", segment], output: said)
            #expect(try await eventually { try contents(of: said) == Array("held\nheld\n".utf8) })
            let (start, limit) = (ContinuousClock.now, Duration.seconds(4))
            let waiter = log(folder, lockWait: limit)
            let append = Task { try await waiter.append(report(2)) }
            // The first lock takes half of the time; a second wait of the whole time would take it to six seconds.
            #expect(try await eventually { ContinuousClock.now - start > limit / 2 })
            first.finish()
            await #expect {
                try await append.value
            } throws: { error in
                guard case .lockTimedOut(segment, _) = error as? LedgerError else { return false }
                return true
            }
            #expect(ContinuousClock.now - start < limit * 1.9)
            second.finish()
        }
    }

    @Test
    func `an append that takes effect after its time limit is not repeated`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let said = "\(folder)/holder.out"
            let holder = try HelperProcess(["hold", "\(folder)/reports.lock"], output: said)
            #expect(try await eventually { try contents(of: said) == Array("held\n".utf8) })
            let stalling = log(folder, lockWait: .seconds(60), timeLimit: .seconds(2))
            await #expect {
                try await stalling.append(report(1))
            } throws: { error in
                guard case .stalled(_, _, mayBeWritten: true) = error as? LedgerError else { return false }
                return true
            }
            holder.finish()
            #expect(try await eventually { try await log(folder).all(OrderReport.self).records.count == 1 })
            try await stalling.append(report(1))
            try await stalling.append(report(2))
            #expect(try await log(folder).all(OrderReport.self).records.map(\.body) == [report(1), report(2)])
        }
    }

    @Test
    func `a lock on a file that was removed meanwhile does not suffice`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            let lock = "\(folder)/reports.lock"
            let said = "\(folder)/holder.out"
            let holder = try HelperProcess(["hold", lock], output: said)
            #expect(try await eventually { try contents(of: said) == Array("held\n".utf8) })
            let waiter = log(folder, lockWait: .seconds(2))
            await withTaskGroup(of: (any Error)?.self) { group in
                group.addTask {
                    do { try await waiter.append(report(1)) } catch { return error }
                    return nil
                }
                do {
                    #expect(try await eventually { try Self.hasOpen(lock) })
                    try FileManager.default.removeItem(atPath: lock)
                    let another = try HelperProcess(["hold", lock], output: said)
                    #expect(try await eventually { try contents(of: said) == Array("held\nheld\n".utf8) })
                    holder.finish()
                    let outcome = await group.next()
                    guard case .lockTimedOut(lock, _) = outcome as? LedgerError else {
                        Issue.record("the append went past the lock: \(String(describing: outcome))")
                        return
                    }
                    another.finish()
                } catch { Issue.record(error) }
            }
        }
    }

    /// Whether this process has the file open.
    private static func hasOpen(_ path: String) throws -> Bool {
        try names(in: "/proc/self/fd").contains {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path
        }
    }

    @Test
    func `a replaced log is not read from the middle`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            for number in 1...3 { try await log(folder).append(report(number)) }
            let cursor = try await log(folder).all(OrderReport.self).next
            let path = "\(folder)/reports.000001.jsonl"
            try put([], into: path)
            for number in 1...9 { try await log(folder).append(report(number, text: "another")) }
            await #expect {
                try await log(folder).read(OrderReport.self, from: cursor)
            } throws: { error in
                guard case .cursorNotInLog(path, cursor, _) = error as? LedgerError else { return false }
                return true
            }
        }
    }
}
