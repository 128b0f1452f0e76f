// SPDX-License-Identifier: Apache-2.0
import HostOS
import Coordination
import Fleet
import Foundation
import Hypervisor
import Ledger
import Settings
import TestSupport
import Testing

@testable import HostAgent

/// Two agents on a signed log that is rolled back to before an order was begun.
@Suite(.timeLimit(.minutes(2))) struct RolledBackLedgerTests {
    private let world = InMemoryWorld.sample()
    private let log = LogCapture()
    private let members: [LedgerWriter: SigningKey] = [
        .host(h1): SigningKey(), .host(h2): SigningKey(), .operator: SigningKey(),
    ]
    private let order = MigrationOrder.testOrder(at: .now)

    @Test func `a rollback of the log and a restart do not begin an order twice`() async throws {
        try await withOrderBegun { folder in
            try await run(folder, marked: true) {
                try await eventually("the agents say why they do nothing") {
                    log.contains("was rolled back or replaced")
                }
                try await expectNoMove()
            }
            // Nothing was written to it, either.
            #expect(try await reports(folder).isEmpty)
        }
    }

    @Test func `without marks the same order is begun again`() async throws {
        try await withOrderBegun { folder in
            try await run(folder, marked: false) {
                try await eventually("it is carried out a second time") { world.hostsRunning(vm) == [h2] }
            }
        }
    }

    @Test func `a host with its journal does not begin an order again, even without marks`() async throws {
        try await withOrderBegun { folder in
            try await run(folder, marked: false, remembers: true) {
                try await eventually("the source finds the VM") {
                    try await reports(folder).contains { report in
                        guard case .failed(let failure) = report.step else { return false }
                        return failure.kind == .interrupted && failure.whereabouts == .at(h1)
                    }
                }
                #expect(log.contains("the journal shows that"))
                try await expectNoMove()
            }
        }
    }

    @Test func `an agent whose key is not in the roster begins nothing`() async throws {
        world.place(.testVM(), on: h1)
        try await withFolder { folder in
            try await open(folder, .operator).append(OrderRecord.migrate(order: order))
            let stranger = LedgerSecurity.signed(by: SigningKey()) { [roster] in roster }
            try await run(folder, marked: true, security: stranger) {
                try await eventually("it is said") { log.contains("host:h1 cannot write to this ledger") }
                try await expectNoMove()
            }
            #expect(try await reports(folder).isEmpty)
        }
    }

    @Test func `agents do nothing while records are from their future, for a limited time`() async throws {
        world.place(.testVM(), on: h1)
        try await withFolder { folder in
            let security = LedgerSecurity.signed(by: members[.operator]) { [roster] in roster }
            let ahead = SharedLog(
                folder: folder,
                writer: .operator,
                security: security,
                now: { .now + .seconds(3600) }
            )
            try await ahead.append(OrderRecord.migrate(order: order))
            try await run(folder, marked: false, clockWait: .milliseconds(500)) {
                try await eventually("it is said") { log.contains("this host's clock is behind") }
                try await eventually("the wait ends") { log.contains("begins without the records of the ledger") }
                try await expectNoMove()
            }
        }
    }

    /// Kills the agents during an order, and rolls the log back to before it was begun.
    private func withOrderBegun(_ body: (String) async throws -> Void) async throws {
        world.place(.testVM(), on: h1)
        world.script(vm, InMemoryScript(.hang))
        try await withFolder { folder in
            try await open(folder, .operator).append(OrderRecord.migrate(order: order))
            try FileManager.default.copyItem(atPath: folder, toPath: "\(folder).copy")
            try await run(folder, marked: true, remembers: true) {
                try await eventually("the move runs") { world.isMoving(vm) }
            }
            try await eventually("the move has ended with its agents") { !world.isMoving(vm) }
            #expect(world.hostsRunning(vm) == [h1])
            try FileManager.default.removeItem(atPath: folder)
            try FileManager.default.copyItem(atPath: "\(folder).copy", toPath: folder)
            try await body(folder)
        }
    }

    private func expectNoMove() async throws {
        // About 25 polls of the ledger.
        for _ in 0..<50 {
            #expect(!world.isMoving(vm) && world.hostsRunning(vm) == [h1])
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private var roster: Roster {
        let later = Instant(milliseconds: 1 << 50)
        let list = members.map {
            Roster.Member(name: $0, certificate: "", expires: later, keys: [$1.verification])
        }
        return Roster(cluster: "test", number: 1, issuedAt: .now, anchors: [], members: list)
    }

    private func open(_ folder: String, _ writer: LedgerWriter, marks: LedgerMarks? = nil) -> SharedLog {
        let security = LedgerSecurity.signed(by: members[writer]) { [roster] in roster }
        return SharedLog(folder: folder, writer: writer, security: security, marks: marks)
    }

    private func reports(_ folder: String) async throws -> [OrderReport] {
        try await open(folder, .operator).read(OrderReport.self, from: nil).records.map(\.body)
    }

    /// Runs both agents while the body runs, and kills them.
    private func run(
        _ folder: String,
        marked: Bool,
        remembers: Bool = false,
        security: LedgerSecurity? = nil,
        clockWait: Duration = .seconds(600),
        body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            for host in [h1, h2] {
                let writer = LedgerWriter.host(host)
                let marks = marked ? LedgerMarks(path: "\(folder).marks-\(host)") : nil
                let ledger =
                    security.map { SharedLog(folder: folder, writer: writer, security: $0, marks: marks) }
                    ?? open(folder, writer, marks: marks)
                var service = AgentService(
                    settings: .sample(allowPlain: true),
                    host: host.rawValue,
                    ledger: ledger,
                    hypervisor: world.hypervisor(of: host),
                    channels: .withoutTunnels(host),
                    logger: log.logger(host.rawValue),
                    journal: remembers ? "\(folder).orders-\(host)" : nil
                )
                service.limits.jobLock = .zero
                service.clockWait = clockWait
                group.addTask { [service] in await service.run() }
            }
            try await body()
        }
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent("ek-agent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: parent) }
        let folder = parent.appendingPathComponent("ledger").path
        try await SharedLog.create(folder: folder)
        try await body(folder)
    }
}
