// SPDX-License-Identifier: Apache-2.0
import Fleet
@testable import Ledger
import Testing

/// The guarantees that agents and controllers rely on, for every ledger.
@Suite(.timeLimit(.minutes(2)))
struct LedgerConformanceTests {
    @Test(arguments: Implementation.allCases)
    func `records are returned with their writers in the order they were appended`(_ kind: Implementation) async throws
    {
        try await kind.withLedger { open in
            let ledger = open(.host(HostName("h1")))
            for number in 1...5 { try await ledger.append(report(number)) }
            let batch = try await ledger.read(OrderReport.self, from: nil)
            #expect(
                batch.records
                    == (1...5).map { LedgerRecord(writer: .host(HostName("h1")), at: writtenAt, body: report($0)) }
            )
            #expect(batch.skipped.isEmpty && batch.gap == nil && !batch.hasMore)
        }
    }

    @Test(arguments: Implementation.allCases)
    func `an empty ledger reads as empty, and its cursor finds the first record`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let ledger = open(.controller)
            let empty = try await ledger.read(OrderRecord.self, from: nil)
            #expect(empty.isEmpty && !empty.hasMore)
            try await ledger.append(cancellation(1))
            let batch = try await ledger.read(OrderRecord.self, from: empty.next)
            #expect(batch.records.map(\.body) == [cancellation(1)])
            #expect(batch.gap == nil)
        }
    }

    @Test(arguments: Implementation.allCases)
    func `the streams are separate`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            try await open(.host(HostName("h1"))).append(sample(1))
            try await open(.operator).append(cancellation(2))
            try await open(.host(HostName("h1"))).append(report(3))
            let ledger = open(.controller)
            #expect(try await ledger.allSamples().samples == [sample(1)])
            #expect(try await ledger.all(OrderRecord.self).records.map(\.body) == [cancellation(2)])
            #expect(try await ledger.all(OrderRecord.self).records.map(\.writer) == [.operator])
            #expect(try await ledger.all(OrderReport.self).records.map(\.body) == [report(3)])
        }
    }

    @Test(arguments: Implementation.allCases, [1, 2, 3, 7, 100])
    func `a batch is limited and reports that there is more`(_ kind: Implementation, limit: Int) async throws {
        try await kind.withLedger { open in
            let ledger = open(.host(HostName("h1")))
            for number in 1...7 { try await ledger.append(report(number)) }
            let first = try await ledger.read(OrderReport.self, from: nil, limit: limit)
            #expect(first.records.count == min(7, limit))
            #expect(first.hasMore || limit >= 7)
            let all = try await ledger.all(OrderReport.self, limit: limit)
            #expect(all.records.map(\.body.number) == Array(1...7))
        }
    }

    @Test(arguments: Implementation.allCases)
    func `a cursor continues at its position after everything was reopened`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            for number in 1...3 { try await open(.host(HostName("h1"))).append(report(number)) }
            let kept = try await open(.controller).read(OrderReport.self, from: nil, limit: 2).next
            for number in 4...5 { try await open(.host(HostName("h1"))).append(report(number)) }
            let batch = try await open(.controller).read(OrderReport.self, from: kept)
            #expect(batch.records.map(\.body.number) == [3, 4, 5])
            let end = try await open(.controller).read(OrderReport.self, from: batch.next)
            #expect(end.isEmpty && end.next == batch.next)
        }
    }

    @Test(arguments: Implementation.allCases)
    func `concurrent appends lose nothing`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let writers = (1...8).map { open(.host(HostName("h\($0)"))) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (index, ledger) in writers.enumerated() {
                    group.addTask {
                        let host = HostName("h\(index + 1)")
                        for number in 1...25 { try await ledger.append(report(number, host: host)) }
                    }
                }
                try await group.waitForAll()
            }
            let batch = try await open(.controller).all(OrderReport.self)
            #expect(batch.records.count == 200 && batch.skipped.isEmpty)
            for (host, records) in Dictionary(grouping: batch.records, by: \.body.host) {
                #expect(records.map(\.body.number) == Array(1...25))
                #expect(records.allSatisfy { $0.writer == .host(host) })
            }
        }
    }

    @Test(
        arguments: Implementation.allCases,
        ["naïve 日本語 🚢", "line\nbreak\r\n", "\u{0}\u{18}\u{2028}\u{7f}", #""quoted" \ {"v":1}"#, "e\u{301}"]
    )
    func `every text is preserved`(_ kind: Implementation, text: String) async throws {
        try await kind.withLedger { open in
            let host = HostName(text + "x")
            let ledger = open(.host(host))
            try await ledger.append(report(1, host: host, text: text))
            try await ledger.append(report(2, host: host))
            let batch = try await ledger.all(OrderReport.self)
            #expect(batch.records.map(\.body) == [report(1, host: host, text: text), report(2, host: host)])
            #expect(batch.records.first?.writer == .host(host))
            guard case .failed(let failure) = batch.records.first?.body.step else { return }
            #expect(Array(failure.text.unicodeScalars) == Array(text.unicodeScalars))
        }
    }

    @Test(arguments: Implementation.allCases)
    func `big records are accepted, and bigger ones are refused`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let ledger = open(.host(HostName("h1")))
            let big = String(repeating: "x", count: Implementation.maximumRecordBytes - 1000)
            try await ledger.append(report(1, text: big))
            await #expect {
                try await ledger.append(report(2, text: big + big))
            } throws: { error in
                guard case .recordTooLarge(.reports, _, Implementation.maximumRecordBytes) = error as? LedgerError
                else {
                    return false
                }
                return true
            }
            try await ledger.append(report(3))
            let batch = try await ledger.all(OrderReport.self)
            #expect(batch.records.map(\.body) == [report(1, text: big), report(3)])
            #expect(batch.skipped.isEmpty)
        }
    }

    @Test(arguments: Implementation.allCases)
    func `a figure that is not a number is refused`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let ledger = open(.host(HostName("h1")))
            var broken = sample(1)
            broken.cpu?.busyCores = .nan
            await #expect {
                try await ledger.append(broken)
            } throws: { error in
                guard case .unencodable(.load, let reason) = error as? LedgerError else { return false }
                return reason.contains("cpu.busyCores")
            }
            let read = try await ledger.allSamples()
            #expect(read.samples.isEmpty && read.remarks.isEmpty)
        }
    }

    @Test(arguments: Implementation.allCases)
    func `the samples of all hosts are returned once, each host's in their order`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let hosts = ["h1", "h2", "h3"].map { HostName($0) }
            var follower = SampleFollower()
            var seen: [LoadSample] = []
            for round in 0..<3 {
                for number in 1...100 {
                    for host in hosts {
                        try await open(.host(host)).append(sample(round * 100 + number, host: host))
                    }
                }
                let remarks = try await follower.readNew(in: open(.controller), .everything) { seen.append($0) }
                #expect(remarks.isEmpty)
            }
            for host in hosts {
                #expect(seen.filter { $0.host == host }.map(\.number) == Array(1...300))
            }
            #expect(seen.map(\.number) == seen.map(\.number).sorted(), "they are merged by time")
        }
    }

    @Test(arguments: Implementation.allCases)
    func `a cursor from another ledger is refused`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let ledger = open(.host(HostName("h1")))
            for number in 1...3 { try await ledger.append(report(number)) }
            for cursor in [Cursor(segment: 1, offset: 1_000_000), Cursor(segment: 9, offset: 0)] {
                await #expect(throws: LedgerError.self) { try await ledger.read(OrderReport.self, from: cursor) }
            }
        }
    }

    @Test(arguments: Implementation.allCases)
    func `a reader that polls sees later records`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            let writer = open(.host(HostName("h1")))
            let reader = open(.controller)
            try await withThrowingTaskGroup(of: [Int].self) { group in
                group.addTask { try await numbers(in: reader, upTo: 10) }
                for number in 1...10 { try await writer.append(report(number)) }
                #expect(try await group.next() == Array(1...10))
            }
        }
    }

    @Test(arguments: Implementation.allCases)
    func `a record that its writer may not write does not count`(_ kind: Implementation) async throws {
        try await kind.withLedger { open in
            try await open(.host(HostName("h1"))).append(report(1))
            try await open(.host(HostName("another"))).append(report(2))
            try await open(.operator).append(report(3))
            var cursor = ReadPosition()
            var seen: [Int] = []
            let remarks = try await open(.controller).readNew(OrderReport.self, from: &cursor) {
                seen.append($0.number)
            }
            #expect(seen == [1] && remarks.count(.notForWriter) == 2 && remarks.refused.count == 2)
            #expect(remarks.count(.notForWriter, of: .operator) == 1)
        }
    }
}

/// Polls until record number `last` is there, or a limit is reached.
func numbers(in ledger: any FleetLedger, upTo last: Int) async throws -> [Int] {
    let deadline = ContinuousClock.now + .seconds(60)
    var seen: [Int] = []
    var cursor = ReadPosition()
    while seen.last != last, ContinuousClock.now < deadline {
        let remarks = try await ledger.readNew(OrderReport.self, from: &cursor) { seen.append($0.number) }
        #expect(remarks.isEmpty)
        try await Task.sleep(for: .milliseconds(1))
    }
    return seen
}
