// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import HostOS
import Ledger
import TestSupport
import Testing

@testable import HostAgent

/// A host whose local disk cannot be written.
@Suite(.timeLimit(.minutes(2))) struct StateFolderTests {
    private let fleet = TestFleet()
    private let order = MigrationOrder.testOrder(at: .now)

    init() { fleet.world.place(.testVM(), on: h1) }

    @Test func `a folder that cannot be written is stated with its reason, until it can be written again`() async throws
    {
        try await withFolder { folder in
            let state = StateFolder(OrderJournal(path: "\(folder)/state/marks.orders"), logger: fleet.log.logger("h1"))
            // A file in the place of the folder; root may write to any folder.
            try Data().write(to: URL(filePath: "\(folder)/state"))
            for _ in 1...2 { await state.look() }
            #expect(state.reason?.contains("\(folder)/state/marks.orders") == true)
            #expect(fleet.log.count("takes no orders") == 1)
            try FileManager.default.removeItem(atPath: "\(folder)/state")
            await state.look()
            #expect(state.reason == nil && fleet.log.contains("can take orders again"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/state").isEmpty, "no probe is left")
        }
    }

    @Test func `a damaged journal takes no orders either, and is left as it is`() async throws {
        try await withFolder { folder in
            let path = "\(folder)/marks.orders"
            try Data("{".utf8).write(to: URL(filePath: path))
            let state = StateFolder(OrderJournal(path: path), logger: fleet.log.logger("h1"))
            await state.look()
            #expect(state.reason?.contains("is damaged") == true)
            #expect(try Data(contentsOf: URL(filePath: path)) == Data("{".utf8))
        }
    }

    @Test func `the host's samples state it, and begin no order`() async throws {
        try await withFolder { folder in
            try Data().write(to: URL(filePath: "\(folder)/state"))
            try await fleet.run(journal: { "\(folder)/\($0 == h1 ? "state" : "h2")/marks.orders" }) {
                try await eventually("the samples of h1 state it") {
                    try await samples(of: h1).last?.takesNoOrdersBecause != nil
                }
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.reason.code == "beginning-not-noted" && failure.whereabouts == .at(h1))
                try FileManager.default.removeItem(atPath: "\(folder)/state")
                try await eventually("h1 takes orders again") {
                    try await samples(of: h1).last.map { $0.takesNoOrdersBecause == nil } == true
                }
            }
            #expect(try await samples(of: h2).allSatisfy { $0.takesNoOrdersBecause == nil })
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `a target that cannot record its steps refuses orders`() async throws {
        try await withFolder { folder in
            try Data().write(to: URL(filePath: "\(folder)/state"))
            try await fleet.run(journal: { "\(folder)/\($0 == h2 ? "state" : "h1")/marks.orders" }) {
                try await eventually("the samples of h2 state it") {
                    try await samples(of: h2).last?.takesNoOrdersBecause != nil
                }
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.kind == .refused && failure.preflight.map(\.host) == [h2])
                #expect(failure.preflight.map(\.reason.code) == ["takes-no-orders"])
            }
        }
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    @Test func `autostart that is set is not set again while only the journal fails`() async throws {
        try await withFolder { folder in
            // The journal reads as empty, and cannot be written.
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/state",
                withDestinationPath: "/nonexistent/evenkeel"
            )
            let hypervisor = fleet.world.hypervisor(of: h1)
            let service = AgentService(
                settings: .sample(allowPlain: true),
                host: h1.rawValue,
                ledger: fleet.ledger,
                hypervisor: hypervisor,
                channels: .withoutTunnels(h1),
                logger: fleet.log.logger("h1"),
                journal: "\(folder)/state/marks.orders"
            )
            #expect(await service.startWithHost(order) != nil)
            #expect(fleet.world.hostsStarting(vm) == [h1])
            // An operator changes it.
            try await hypervisor.setAutostart(of: vm, to: false)
            #expect(await service.startWithHost(order) != nil)
            #expect(fleet.world.hostsStarting(vm) == [])
        }
    }

    @Test func `a report that is in the ledger without a mark is written once`() async throws {
        try await fleet.run(through: { UnmarkedLedger(inner: $0) }) {
            try await fleet.submit(order)
            let failure = try await fleet.failure(of: order)
            #expect(failure.reason == .order(.beginningNotMarked))
            try await eventually("it is logged") { fleet.log.contains("cannot save the mark") }
        }
        #expect(try await fleet.steps(of: order).map(\.word) == ["accepted", "prepared", "running", "failed"])
        #expect(fleet.world.hostsRunning(vm) == [h1])
    }

    private func samples(of host: HostName) async throws -> [LoadSample] {
        try await fleet.ledger.read(LoadSample.self, from: nil).records.map(\.body).filter { $0.host == host }
    }

    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ek-state-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.path)
    }
}

/// Writes every report, but cannot save marks.
private struct UnmarkedLedger: FleetLedger {
    let inner: InMemoryLedger
    var localTrouble: String? { "cannot save the mark: no space left" }

    func append<Entry: LedgerEntry>(_ entry: Entry) async throws {
        try await inner.append(entry)
        if Entry.stream == .reports { throw LedgerError.markNotSaved(path: "marks", reason: "no space left") }
    }

    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        try await inner.read(entries, from: cursor, limit: limit)
    }
}
