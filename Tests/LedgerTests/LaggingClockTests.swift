// SPDX-License-Identifier: Apache-2.0
import Fleet
import Synchronization
import Testing

@testable import Ledger

/// A reader whose own clock is behind and later right again.
@Suite(.timeLimit(.minutes(1)))
struct LaggingClockTests {
    private final class Clock: Sendable {
        private let time: Mutex<Instant>
        init(_ time: Instant) { self.time = Mutex(time) }
        var now: Instant { time.withLock { $0 } }
        func set(_ instant: Instant) { time.withLock { $0 = instant } }
    }

    private func reader(of ledger: AttackedLedger, _ clock: Clock) -> SharedLog {
        SharedLog(folder: ledger.folder, writer: .controller, security: ledger.cluster.readersSecurity) { clock.now }
    }

    @Test func `records read while the clock was behind count once it is right again`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h2).append(report(2, host: HostName("h2")))
            let clock = Clock(writtenAt + .seconds(-1000))
            let log = reader(of: ledger, clock)
            var place = ReadPosition()
            var numbers: [Int] = []
            var remarks = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            #expect(numbers == [] && remarks.count(.fromTheFuture) == 2 && place.waitingCount == 2)
            // They are reported once, not at every read.
            remarks = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            #expect(numbers == [] && remarks.isEmpty && place.waitingCount == 2)
            try await ledger.open(h1).append(report(3))
            clock.set(writtenAt)
            remarks = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            #expect(numbers == [1, 2, 3] && remarks.isEmpty && place.waitingCount == 0)
            _ = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            #expect(numbers == [1, 2, 3])
        }
    }

    @Test func `a host's own lines count, whatever its clock says now`() async throws {
        try await AttackedLedger.with { ledger in
            let clock = Clock(writtenAt + .seconds(-3600))
            let log = ledger.open(h1, clock: clock.now)
            var place = ReadPosition()
            var numbers: [Int] = []
            let remarks = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            #expect(numbers == [1] && remarks.isEmpty && place.waitingCount == 0)
        }
    }

    @Test func `a line far in the future delays no other`() async throws {
        try await AttackedLedger.with { ledger in
            try await ledger.open(h2, clock: writtenAt + .seconds(86400 * 365)).append(report(2, host: HostName("h2")))
            let clock = Clock(writtenAt + .seconds(-1000))
            let log = reader(of: ledger, clock)
            var place = ReadPosition()
            var numbers: [Int] = []
            _ = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            clock.set(writtenAt)
            _ = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            try await ledger.open(h1).append(report(3))
            _ = try await log.readNew(OrderReport.self, from: &place) { numbers.append($0.number) }
            #expect(numbers == [1, 3] && place.waitingCount == 1)
        }
    }

    @Test func `lines that were too many to be listed are read once the clock is right again`() async throws {
        try await AttackedLedger.with { ledger in
            // Between the controller's lines is one by another writer that counts.
            let (limit, count) = (4, 30)
            let clock = Clock(writtenAt + .seconds(-86400))
            for number in 1...count {
                try await ledger.open(.controller).append(cancellation(number))
                guard number == 20 else { continue }
                try await ledger.open(.operator, clock: clock.now).append(cancellation(99))
            }
            let log = SharedLog(folder: ledger.folder, writer: h2, security: ledger.cluster.readersSecurity) {
                clock.now
            }
            var place = ReadPosition(limit: limit)
            var seen: [OrderRecord] = []
            _ = try await log.readNew(OrderRecord.self, from: &place) { seen.append($0) }
            #expect(seen == [cancellation(99)] && place.waitingCount == limit)
            #expect(place.isWaiting)
            clock.set(writtenAt)
            _ = try await log.readNew(OrderRecord.self, from: &place) { seen.append($0) }
            #expect(seen == [cancellation(99)] + (1...count).map { cancellation($0) } && !place.isWaiting)
            _ = try await log.readNew(OrderRecord.self, from: &place) { seen.append($0) }
            #expect(seen.count == count + 1)
        }
    }

    @Test func `unlisted lines that still wait are listed in turn`() {
        var place = ReadPosition()
        func line(_ number: Int, _ writer: LedgerWriter, at time: Instant) -> SkippedLine {
            SkippedLine(
                at: Cursor(segment: 1, offset: Int64(number)),
                bytes: 1,
                writer: writer,
                reason: .refused(.fromTheFuture(ahead: .seconds(700), at: time))
            )
        }
        let limit = ReadPosition.waitingPerWriter
        place.keep((0..<limit + 10).map { line($0, h2, at: writtenAt + .seconds(-Int64($0))) })
        #expect(place.takeOverflows().isEmpty, "listed lines wait")
        var other = ReadPosition()
        other.restore(
            ReadPosition.Overflow(
                first: Cursor(segment: 1, offset: 5),
                last: Cursor(segment: 1, offset: 9),
                since: writtenAt
            ),
            of: h1
        )
        #expect(other.isWaiting && other.waitingCount == 0)
        let due = other.takeOverflows()
        #expect(due.map(\.writer) == [h1] && due.first?.lines.last.offset == 9 && !other.isWaiting)
    }

    @Test func `a writer with false times does not fill the memory`() throws {
        var place = ReadPosition()
        let reason = SkippedLine.Reason.refused(.fromTheFuture(ahead: .seconds(700), at: writtenAt))
        for (writer, count) in [(h2, ReadPosition.waitingPerWriter + 10), (h1, 1)] {
            place.keep(
                (0..<count).map {
                    SkippedLine(at: Cursor(segment: 1, offset: Int64($0)), bytes: 1, writer: writer, reason: reason)
                }
            )
        }
        #expect(place.waitingCount == ReadPosition.waitingPerWriter + 1)
    }
}
