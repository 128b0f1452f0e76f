// SPDX-License-Identifier: Apache-2.0
import Fleet
import Testing

@testable import Ledger

/// Records that an attacker with access to the ledger's folder could write: each is refused and counted.
///
/// Without signatures each would count, which shows that the attack works.
@Suite(.timeLimit(.minutes(2)))
struct ForgedRecordTests {
    private typealias Kind = LedgerRemarks.Kind

    /// Checks that only report 1 counts and that the rest is refused as one record of this kind in this writer's name.
    ///
    /// Without verification the reports `believed` must count.
    private func expectRefused(
        _ ledger: AttackedLedger,
        _ kind: Kind,
        of writer: LedgerWriter?,
        says words: String,
        believed: [Int] = [1, 2],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let read = try await ledger.verified()
        #expect(read.numbers == [1], sourceLocation: sourceLocation)
        let entries = read.remarks.entries
        #expect(entries.count == 1 && entries.first?.count == 1, "\(entries)", sourceLocation: sourceLocation)
        #expect(entries.first?.kind == kind && entries.first?.writer == writer, sourceLocation: sourceLocation)
        #expect(read.remarks.refused == entries, sourceLocation: sourceLocation)
        let example = entries.first?.example ?? ""
        #expect(example.contains(words), "\(example)", sourceLocation: sourceLocation)
        let numbers = try await ledger.believed().numbers
        #expect(numbers == believed, sourceLocation: sourceLocation)
    }

    @Test func `an unsigned record is refused`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.forge(h1, .unsigned).append(report(2))
            try await expectRefused(ledger, .unsigned, of: h1, says: "it is not signed")
        }
    }

    @Test func `a record whose signature was removed is refused as unsigned`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(report(2))
            var lines = try ledger.lines()
            let end = try #require(lines[1].lastRange(of: #","signature":"#)?.lowerBound)
            lines[1] = lines[1][..<end] + [UInt8(ascii: "}")]
            try ledger.put(lines)
            #expect(try await ledger.verified().remarks.count(.unsigned) == 1)
            let read = try await ledger.verified()
            #expect(read.numbers == [1])
        }
    }

    @Test func `a record of a writer that the roster does not list is refused`() async throws {
        try await AttackedLedger.with { ledger in
            let stranger = LedgerWriter.host(HostName("stranger"))
            let security = TestCluster.forger(of: stranger, with: SigningKey())
            try await ledger.forge(stranger, security).append(report(2, host: HostName("stranger")))
            try await expectRefused(ledger, .unknownWriter, of: nil, says: "'host:stranger'")
        }
    }

    @Test func `an unknown writer's name is escaped and truncated`() async throws {
        try await AttackedLedger.with { ledger in
            let name = HostName("\u{1B}[2J" + String(repeating: "x", count: 5000))
            let security = TestCluster.forger(of: .host(name), with: SigningKey())
            try await ledger.forge(.host(name), security).append(report(2, host: name))
            let example = try #require(try await ledger.verified().remarks.entries.first?.example)
            #expect(example.contains("host:\\u{1B}[2Jxxx") && !example.contains("\u{1B}"))
            #expect(example.count <= 300)
        }
    }

    @Test func `a record that another member signed in the writer's name is refused`() async throws {
        try await AttackedLedger.with { ledger in
            let security = TestCluster.forger(of: h1, with: ledger.cluster.key(of: h2))
            try await ledger.forge(h1, security).append(report(2))
            try await expectRefused(ledger, .wrongSigner, of: h1, says: "which belongs to host:h2")
        }
    }

    @Test func `a record that a stranger signed in the writer's name is refused`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.forge(h1, TestCluster.forger(of: h1, with: SigningKey())).append(report(2))
            try await expectRefused(ledger, .wrongSigner, of: h1, says: "which belongs to no member")
        }
    }

    @Test func `a copied record is refused and its true position named`() async throws {
        try await AttackedLedger.with { ledger in
            let line = try ledger.lines()[0]
            try ledger.put([line, line])
            try await expectRefused(ledger, .wrongPlace, of: h1, says: "written at reports 1:0", believed: [1, 1])
        }
    }

    @Test func `the records of a copied segment are refused`() async throws {
        try await AttackedLedger.with { ledger in
            try ledger.put(try ledger.lines(), into: 2)
            try await expectRefused(ledger, .wrongPlace, of: h1, says: "written at reports 1:0", believed: [1, 1])
        }
    }

    @Test func `a record moved to another stream is refused`() async throws {
        try await AttackedLedger.with { ledger in
            try ledger.put(try ledger.lines(), of: .orders)
            var cursor = ReadPosition()
            let remarks = try await ledger.open(.controller).readNew(OrderRecord.self, from: &cursor) { _ in
                Issue.record("a report was read as an order")
            }
            #expect(remarks.count(.wrongPlace, of: h1) == 1)
        }
    }

    @Test func `a record of another ledger is refused`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(report(2))
            try await AttackedLedger.with(cluster: ledger.cluster) { other in
                let first = try ledger.lines()[0]
                #expect(try other.lines()[0].count == first.count)
                try other.put([try other.lines()[0], try ledger.lines()[1]])
                let id = try LedgerMarker.read(in: ledger.folder).id ?? "none"
                try await expectRefused(other, .otherLedger, of: h1, says: "another ledger, '\(id)'")
            }
        }
    }

    @Test func `a record about another host is refused even if its writer signed it`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h2).append(report(2))
            // Unsigned writers, too, may only write about themselves; but they can use any name.
            try await expectRefused(
                ledger,
                .notForWriter,
                of: h2,
                says: "not permitted to write this record",
                believed: [1]
            )
        }
    }

    @Test func `an order from an agent is refused even if the agent signed it`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h2).append(cancellation(1))
            var cursor = ReadPosition()
            let remarks = try await ledger.open(h1).readNew(OrderRecord.self, from: &cursor) { _ in
                Issue.record("the order counts")
            }
            #expect(remarks.count(.notForWriter, of: h2) == 1)
        }
    }

    @Test func `an end of an order counts from an operator or a controller, and never from a host`() async throws {
        let end = OrderRecord.end(id: OrderID("o1"), on: HostName("h1"), at: writtenAt, reason: "test")
        for writer in [h1, h2, .operator, .controller] {
            var isHost = false
            if case .host = writer { isHost = true }
            #expect(end.mayBeWritten(by: writer) != isHost)
        }
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1).append(end)
            var cursor = ReadPosition()
            let remarks = try await ledger.open(h2).readNew(OrderRecord.self, from: &cursor) { _ in
                Issue.record("the host's end counts")
            }
            #expect(remarks.count(.notForWriter, of: h1) == 1)
            try await ledger.open(.controller).append(end)
            var found: [OrderRecord] = []
            _ = try await ledger.open(h2).readNew(OrderRecord.self, from: &cursor) { found.append($0) }
            #expect(found == [end])
        }
    }

    @Test func `a record from the future is refused`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1, clock: writtenAt + .seconds(601)).append(report(2))
            try await expectRefused(ledger, .fromTheFuture, of: h1, says: "601 s ahead")
        }
    }

    @Test(arguments: [Int64.min, .max, 1 << 53]) func `an implausible time makes a record unreadable`(
        time: Int64
    ) async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1, clock: Instant(milliseconds: time)).append(report(2))
            let read = try await ledger.verified()
            #expect(read.numbers == [1] && read.remarks.count(.unreadable) == 1)
        }
    }

    @Test func `clocks may differ by up to ten minutes`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h1, clock: writtenAt + .seconds(600)).append(report(2))
            let read = try await ledger.verified()
            #expect(read.numbers == [1, 2] && read.remarks.isEmpty)
        }
    }
}

extension [UInt8] {
    /// Returns where a text occurs last.
    func lastRange(of text: String) -> Range<Int>? {
        let words = Array(text.utf8)
        return indices.reversed().first { self[$0...].starts(with: words) }.map { $0..<($0 + words.count) }
    }
}
