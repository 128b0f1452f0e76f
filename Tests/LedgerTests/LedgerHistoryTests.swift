// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

@testable import Ledger

/// What readers that need only the present leave out of the past, and what they must not.
@Suite(.timeLimit(.minutes(2)))
struct LedgerHistoryTests {
    private static let now = writtenAt
    private static let longAgo = now - .seconds(3 * 86400)
    private static let justNow = now - .seconds(600)

    private static func history(host: String? = nil) -> LedgerHistory {
        host.map { .ofAgent(on: HostName($0), ended: .seconds(86400), at: now) }
            ?? .recent(ended: .seconds(86400), samples: .seconds(1800), thinned: true, at: now)
    }

    /// A ledger whose orders go from h1 to h2 unless stated otherwise.
    private struct World {
        let attacked: AttackedLedger

        func order(
            _ id: String,
            at instant: Instant,
            to target: String = "h2",
            over channel: Channel = .ipsec,
            vm: String? = nil,
            epoch: UInt64? = nil
        ) async throws {
            let order = MigrationOrder(
                id: OrderID(id),
                vm: VMID(vm ?? "vm-\(id)"),
                vmName: id,
                source: HostName("h1"),
                target: HostName(target),
                channel: channel,
                issuedAt: instant,
                expires: instant + .seconds(120),
                issuer: epoch == nil ? .operator : .controller,
                epoch: epoch,
                reason: "a test"
            )
            let writer = epoch == nil ? LedgerWriter.operator : .controller
            try await attacked.open(writer).append(OrderRecord.migrate(order: order))
        }

        func report(_ id: String, _ step: OrderStep, at instant: Instant, by writer: LedgerWriter = h1) async throws {
            guard case .host(let host) = writer else { return }
            let report = OrderReport(order: OrderID(id), host: host, at: instant, step: step)
            try await attacked.open(writer).append(report)
        }

        /// The orders and reports that a new reader gets, each report as `ORDER STEP`.
        func read(_ history: LedgerHistory) async throws -> (orders: [String], reports: [String]) {
            var follower = LedgerFollower(attacked.open(.controller), history)
            var orders: [String] = []
            var reports: [String] = []
            try await follower.readOrders { record in
                if case .migrate(let order) = record { orders.append(order.id.rawValue) }
            }
            try await follower.readReports { report in
                let text = "\(report.step)"
                reports.append("\(report.order) \(text.prefix { $0 != "(" })")
            }
            return (orders, reports.filter { !$0.hasPrefix("order-") })
        }
    }

    private func with(_ body: (World) async throws -> Void) async throws {
        try await AttackedLedger.with { try await body(World(attacked: $0)) }
    }

    private static func done(_ verdict: Evidence.Verdict = .covered, at instant: Instant) -> OrderStep {
        .done(
            outcome: MigrationOutcome(startedAt: instant, endedAt: instant),
            evidence: Evidence(channel: .ipsec, verdict: verdict)
        )
    }

    private static func failed(_ kind: OrderFailure.Kind) -> OrderStep {
        .failed(failure: OrderFailure(kind, .other("test"), .unknown))
    }

    private static func running(_ bytes: UInt64) -> OrderStep {
        .running(
            progress: MigrationProgress(elapsedSeconds: 1, bytesTransferred: bytes, bytesRemaining: 1, bytesTotal: 100)
        )
    }

    @Test func `orders that ended long ago are left out, and only progress of those that ended lately`() async throws {
        try await with { world in
            for (id, time) in [("old", Self.longAgo), ("new", Self.justNow)] {
                try await world.order(id, at: time)
                try await world.report(id, .prepared(), at: time, by: h2)
                for bytes in 1...5 { try await world.report(id, Self.running(UInt64(bytes)), at: time) }
                try await world.report(id, Self.done(at: time), at: time)
            }
            let read = try await world.read(Self.history())
            #expect(read.orders == ["new"])
            #expect(read.reports == ["new prepared", "new running", "new running", "new done"])
            let all = try await world.read(.everything)
            #expect(all.orders == ["old", "new"] && all.reports.count == 14)
        }
    }

    @Test func `unfinished orders, doubts, leaks and sealed orders are read, however old`() async throws {
        try await with { world in
            let time = Self.longAgo
            for id in ["unfinished", "doubt", "leak"] { try await world.order(id, at: time) }
            try await world.order("sealed", at: time, over: .sealed)
            for id in ["unfinished", "doubt", "sealed"] {
                for bytes in 1...2 { try await world.report(id, Self.running(UInt64(bytes)), at: time) }
            }
            try await world.report("doubt", Self.failed(.inDoubt), at: time)
            try await world.report("sealed", Self.done(at: time), at: time)
            try await world.report("leak", Self.done(.leak, at: time), at: time)
            for history in [Self.history(), Self.history(host: "h1"), Self.history(host: "h3")] {
                let read = try await world.read(history)
                #expect(read.orders == ["unfinished", "doubt", "leak", "sealed"])
                #expect(read.reports.count == 9)
            }
        }
    }

    @Test func `an agent leaves out the ended orders of other hosts`() async throws {
        try await with { world in
            for (id, target) in [("mine", "h2"), ("other", "h3")] {
                try await world.order(id, at: Self.justNow, to: target)
                try await world.report(id, Self.done(at: Self.justNow), at: Self.justNow)
            }
            #expect(try await world.read(Self.history(host: "h2")).orders == ["mine"])
            #expect(try await world.read(Self.history(host: "h1")).orders == ["mine", "other"])
        }
    }

    @Test func `neither another host nor a forged line can end an order and hide it`() async throws {
        try await with { world in
            for id in ["a", "b", "c"] {
                try await world.order(id, at: Self.longAgo)
                try await world.report(id, Self.running(1), at: Self.longAgo)
            }
            // By the target, in its own name; unsigned in the source's; and by the source with an old time.
            try await world.report("a", Self.done(at: Self.longAgo), at: Self.longAgo, by: h2)
            let end = OrderReport(
                order: OrderID("b"),
                host: HostName("h1"),
                at: Self.longAgo,
                step: Self.done(at: Self.longAgo)
            )
            try await world.attacked.forge(h1, .unsigned).append(end)
            try await world.order("new", at: Self.justNow)
            try await world.report("new", Self.done(at: Self.longAgo), at: Self.longAgo)
            let read = try await world.read(Self.history())
            #expect(read.orders == ["a", "b", "c", "new"])
            #expect(read.reports == ["a running", "b running", "c running", "a done", "new done"])
        }
    }

    /// Who wrote a line that claims to be a report of h1's progress.
    enum Forger: CaseIterable {
        case unsigned, member, stranger
    }

    @Test(arguments: Forger.allCases)
    func `a forged report of progress hides neither the begin of a move nor its last figures`(
        by forger: Forger
    ) async throws {
        try await with { world in
            let ledger = world.attacked
            func forge() async throws {
                let security: LedgerSecurity =
                    switch forger {
                    case .unsigned: .unsigned
                    case .member: TestCluster.forger(of: h1, with: ledger.cluster.key(of: h2))
                    case .stranger: TestCluster.forger(of: h1, with: SigningKey())
                    }
                let report = OrderReport(
                    order: OrderID("a"),
                    host: HostName("h1"),
                    at: Self.justNow,
                    step: Self.running(77)
                )
                try await ledger.forge(h1, security).append(report)
            }
            try await world.order("a", at: Self.justNow)
            try await forge()
            for bytes in 1...5 { try await world.report("a", Self.running(UInt64(bytes)), at: Self.justNow) }
            try await forge()
            try await world.report("a", Self.failed(.migration), at: Self.justNow)
            try await forge()
            for host in [nil, "h1", "h2"] {
                var follower = LedgerFollower(ledger.open(.controller), Self.history(host: host))
                var bytes: [UInt64] = []
                try await follower.readOrders { _ in }
                try await follower.readReports { report in
                    if case .running(let progress) = report.step { bytes.append(progress.bytesTransferred) }
                }
                #expect(bytes == [1, 5])
            }
        }
    }

    @Test func `reports of progress of unknown orders are neither kept nor counted as the begin of one`() async throws {
        try await with { world in
            try await world.order("a", at: Self.justNow)
            for number in 1...100 { try await world.report("unknown-\(number)", Self.running(1), at: Self.justNow) }
            // In its own name, the target cannot report the source's progress.
            try await world.report("a", Self.running(1), at: Self.justNow, by: h2)
            try await world.report("a", Self.running(2), at: Self.justNow)
            try await world.report("a", Self.running(3), at: Self.justNow, by: h2)
            try await world.report("a", Self.failed(.migration), at: Self.justNow)
            let read = try await world.read(Self.history(host: "h1")).reports.filter { $0.hasPrefix("a ") }
            #expect(read == ["a running", "a failed"])
        }
    }

    @Test func `a reader whose clock is ahead leaves out what ended long before the newest record`() async throws {
        try await with { world in
            let ahead = Self.now + .seconds(9 * 365 * 86400)
            for (id, time) in [("old", Self.longAgo), ("new", Self.justNow)] {
                try await world.order(id, at: time)
                try await world.report(id, Self.done(at: time), at: time)
            }
            let recent = LedgerHistory.recent(
                ended: .seconds(86400),
                samples: .seconds(1800),
                thinned: true,
                at: ahead
            )
            #expect(try await world.read(recent).orders == ["new"])
        }
    }

    @Test func `an agent reads the newest order of each VM that began, however long ago`() async throws {
        try await with { world in
            let time = Self.longAgo
            for (id, vm) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b")] {
                try await world.order(id, at: time, vm: vm)
            }
            for id in ["a1", "a2", "b1"] { try await world.report(id, Self.done(at: time), at: time) }
            try await world.report("a3", Self.failed(.refused), at: time)
            try await world.report("b2", Self.running(1), at: time)
            try await world.report("b2", Self.failed(.migration), at: time)
            // A newer record than all of these.
            try await world.order("other", at: Self.justNow, to: "h3")
            let read = try await world.read(Self.history(host: "h2"))
            #expect(read.orders == ["a2", "b2", "other"])
            #expect(read.reports == ["a2 done", "b2 running", "b2 failed"])
            #expect(try await world.read(Self.history()).orders == ["other"])
        }
    }

    /// What retention leaves in a small fleet, whose orders fill no segment.
    @Test func `an order whose reports were removed is left out, not taken for one that never began`() async throws {
        try await with { world in
            for (id, time) in [("removed", Self.longAgo), ("searched", Self.longAgo), ("new", Self.justNow)] {
                try await world.order(id, at: time)
            }
            for id in ["ended", "accepted"] { try await world.order(id, at: Self.longAgo) }
            try await world.order("sealed", at: Self.longAgo, over: .sealed)
            // Its source has searched for so long that only this is left.
            let question = PresenceQuestion(vm: VMID("vm"), target: HostName("h2"), here: .running)
            try await world.report("searched", .asked(question: question), at: Self.justNow)
            try await world.report(
                "searched",
                .answered(presence: .absent, question: Self.justNow),
                at: Self.justNow,
                by: h2
            )
            try await world.report("accepted", .prepared(), at: Self.longAgo, by: h2)
            let end = OrderRecord.end(id: OrderID("ended"), on: HostName("h2"), at: Self.longAgo, reason: "h1 is lost")
            try await world.attacked.open(.operator).append(end)
            #expect(try await world.read(Self.history()).orders == ["new", "ended", "accepted"])
            // The journal of a source may show that a sealed move had begun.
            for host in ["h1", "h2"] {
                let orders = try await world.read(Self.history(host: host)).orders
                #expect(orders == ["new", "ended", "accepted", "sealed"])
            }
            #expect(try await world.read(.everything).orders.count == 6)
        }
    }

    @Test func `a failed order is read for as long as its source may search for a second copy`() async throws {
        try await with { world in
            let failed = OrderStep.failed(failure: OrderFailure(.migration, .other("test"), .at(HostName("h1"))))
            for id in ["unanswered", "unclear", "clear", "asking", "unbegun"] {
                try await world.order(id, at: Self.longAgo)
                if id != "unbegun" { try await world.report(id, Self.running(1), at: Self.longAgo) }
                try await world.report(id, failed, at: Self.longAgo)
            }
            func ask(_ id: String, at instant: Instant, answer: DomainPresence) async throws {
                let question = PresenceQuestion(vm: VMID("vm"), target: HostName("h2"), here: .running)
                try await world.report(id, .asked(question: question), at: instant)
                try await world.report(id, .answered(presence: answer, question: instant), at: instant, by: h2)
            }
            try await ask("unclear", at: Self.longAgo, answer: .pausedByMigration)
            try await ask("clear", at: Self.longAgo, answer: .absent)
            // The target has no copy, but the source still asks: a third host claims the VM.
            try await ask("asking", at: Self.longAgo, answer: .absent)
            try await ask("asking", at: Self.justNow, answer: .absent)
            try await world.order("new", at: Self.justNow)
            func orders(searched days: Int64) async throws -> [String] {
                let history = LedgerHistory.recent(
                    ended: .seconds(86400),
                    searched: .seconds(days * 86400),
                    samples: .seconds(1800),
                    thinned: true,
                    at: Self.now
                )
                return try await world.read(history).orders
            }
            #expect(try await orders(searched: 8) == ["unanswered", "unclear", "asking", "new"])
            #expect(try await orders(searched: 2) == ["asking", "new"])
        }
    }

    @Test func `the epoch of an order that is left out counts at its place, unless a takeover shows it`() async throws {
        try await with { world in
            func ended(_ id: String, epoch: UInt64) async throws {
                try await world.order(id, at: Self.longAgo, epoch: epoch)
                try await world.report(id, Self.done(at: Self.longAgo), at: Self.longAgo)
            }
            for id in ["a", "b"] { try await ended(id, epoch: 7) }
            try await world.order("unfinished", at: Self.longAgo, epoch: 7)
            try await world.report("unfinished", Self.running(1), at: Self.longAgo)
            let takeOver = OrderRecord.takeOver(epoch: 8, controller: "other", at: Self.longAgo)
            try await world.attacked.open(.controller).append(takeOver)
            try await ended("c", epoch: 8)
            var follower = LedgerFollower(world.attacked.open(.operator), Self.history())
            var read: [String] = []
            try await follower.readOrders { record in
                if let epoch = record.epoch { read.append("\(epoch)") }
                if case .migrate(let order) = record { read.append(order.id.rawValue) }
            }
            #expect(read == ["7", "unfinished", "8"])
        }
    }

    @Test func `what is written after the past was read is passed on completely`() async throws {
        try await with { world in
            try await world.order("a", at: Self.longAgo)
            try await world.report("a", Self.done(at: Self.longAgo), at: Self.longAgo)
            var follower = LedgerFollower(world.attacked.open(.controller), Self.history())
            var seen: [OrderID] = []
            try await follower.readOrders { _ in }
            try await follower.readReports { seen.append($0.order) }
            try await world.report("a", Self.failed(.inDoubt), at: Self.justNow)
            try await follower.readReports { seen.append($0.order) }
            #expect(seen.last == OrderID("a"))
        }
    }

    @Test func `a reader of recent samples begins near them, and thins the older ones`() async throws {
        try await withTemporaryFolder { folder in
            try await SharedLog.create(folder: folder)
            var options = SharedLog.Options()
            options.segmentBytes = 1 << 20
            let log = SharedLog(folder: folder, writer: h1, security: .unsigned, options: options)
            // An hour and a half, one sample every 5 s, of about 8 KB.
            let text = String(repeating: "x", count: 8000)
            let times = stride(from: Int64(5400), through: 0, by: -5).map { Self.now - .seconds($0) }
            let clocked = { (time: Instant) in
                SharedLog(folder: folder, writer: h1, security: .unsigned, options: options, now: { time })
            }
            for time in times {
                try await clocked(time).append(sample(Int(time.milliseconds), text: text))
            }
            let files = SegmentFiles(ledger: folder, log: LedgerLog(.load, of: h1))
            #expect(try files.numbers().count > 3)
            let begin = try #require(try await log.start(of: files.log, since: Self.now - .seconds(1800)))
            let batch = try await log.read(
                LoadSample.self,
                in: files.log,
                from: begin,
                limit: 10_000,
                selecting: nil
            )
            let first = try #require(batch.records.first?.body.at)
            #expect(first < Self.now - .seconds(1800) && first > Self.now - .seconds(2400))
            #expect(batch.records.last?.body.at == Self.now)

            let read = try await log.allSamples(Self.history()).samples.map(\.at)
            let detailed = Self.now - .seconds(120)
            #expect(read.filter { $0 >= detailed } == times.filter { $0 >= detailed })
            let old = read.filter { $0 < detailed && $0 >= Self.now - .seconds(1800) }
            let lasts = Dictionary(grouping: times.filter { $0 < detailed }) { $0.milliseconds / 60_000 }
                .compactMap { $0.value.max() }
            #expect(old == lasts.filter { $0 >= Self.now - .seconds(1800) }.sorted())
        }
    }

    @Test func `the newest sample of a host that fell silent is read`() async throws {
        try await AttackedLedger.with { ledger in
            for number in 1...3 { try await ledger.open(h1).append(sample(number)) }
            let read = try await ledger.open(.controller).allSamples(Self.history())
            #expect(read.samples.last?.number == 3)
        }
    }

    @Test func `a line is glimpsed only in the form in which it is written`() throws {
        let record = LedgerRecord(writer: h1, at: writtenAt, body: report(7))
        let line = try LineCodec.draft(record, signer: nil, limit: 1 << 20).line(at: .origin)
        let claim = try #require(LineGlimpse.report(line))
        #expect(claim.order == "order-7" && claim.step == "failed" && LineGlimpse.time(line) == writtenAt)
        for text in ["", "{}", #"{"v":1,"at":x"#, #"","at":99999999999999999999,"#, #","body":{"at":1,"host":"h"#] {
            #expect(LineGlimpse.report(Array(text.utf8)) == nil && LineGlimpse.time(Array(text.utf8)) == nil, "\(text)")
        }
        let escaped = LedgerRecord(
            writer: h1,
            at: writtenAt,
            body: OrderReport(order: OrderID("a\"b"), host: HostName("h1"), at: writtenAt, step: .released)
        )
        let other = try LineCodec.draft(escaped, signer: nil, limit: 1 << 20).line(at: .origin)
        #expect(LineGlimpse.report(other) == nil, "it is decoded then")
    }
}
