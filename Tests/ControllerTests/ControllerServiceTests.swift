// SPDX-License-Identifier: Apache-2.0
import Balancing
import HostOS
import Controller
import Coordination
import Fleet
import FleetFiles
import Foundation
import Ledger
import Logging
import TestSupport
import Testing

struct ControllerServiceTests {
    @Test(.timeLimit(.minutes(2))) func `a replay of a running controller's recording repeats its decisions`()
        async throws
    {
        let ledger = InMemoryLedger(writer: .controller)
        try await overload(ledger)
        try await withFolder { folder in
            let path = "\(folder)/recording"
            let settings = try configuration(["ledger.poll_interval=10ms", "policy.decision_interval=10ms"])
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let service = ControllerService(settings: settings, ledger: ledger, logger: logger, record: path)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await service.run() }
                defer { group.cancelAll() }
                while try await ledger.read(OrderRecord.self, from: nil).records.isEmpty {
                    try await Task.sleep(for: .milliseconds(10))
                }
                // An outage is an event, too.
                ledger.fail(with: .storageFull(path: "memory"))
                try await Task.sleep(for: .milliseconds(50))
                ledger.fail(with: nil)
                try await Task.sleep(for: .milliseconds(50))
            }
            let recording = try bytes(of: path)
            let replay = try replayController(recording)
            #expect(replay.differenceCount == 0)
            let ordered = try await ledger.read(OrderRecord.self, from: nil).records.count
            let submitted = lines(recording).map { $0.ranges(of: "{\"submit\":").count }.reduce(0, +)
            #expect(submitted == ordered && ordered > 0)
            #expect(lines(recording).contains { $0.contains("\"ledgerLost\"") })
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a controller that cannot read the closed channels orders nothing`()
        async throws
    {
        let ledger = InMemoryLedger(writer: .controller)
        try await overload(ledger)
        try await withFolder { folder in
            let path = "\(folder)/marks.closed"
            try Data("[{".utf8).write(to: URL(fileURLWithPath: path))
            let settings = try configuration(["ledger.poll_interval=10ms", "policy.decision_interval=10ms"])
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let service = ControllerService(settings: settings, ledger: ledger, logger: logger, closures: path)
            let error = await #expect(throws: FleetFileError.self) { try await service.run() }
            #expect(error?.description.contains("remove it once every leak in it is cleared") == true)
            #expect(try await ledger.read(OrderRecord.self, from: nil).records.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(1))) func `the order of a removed source ends once, where the target runs its VM`()
        async throws
    {
        let ledger = InMemoryLedger(writer: .controller)
        let order = MigrationOrder.sample(at: .now, issuer: .controller)
        try await ledger.append(OrderRecord.migrate(order: order))
        let running = OrderReport(order: order.id, host: order.source, at: .now, step: .running(progress: .beginning))
        try await ledger.writing(as: .host(order.source)).append(running)
        let vm = VMSample(id: order.vm, name: order.vmName, state: .running)
        try await ledger.writing(as: .host(order.target)).append(LoadSample(host: order.target, at: .now, vms: [vm]))
        let settings = try configuration([
            "ledger.poll_interval=10ms", "policy.decision_interval=10ms", "policy.mode=manual",
        ])
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let service = ControllerService(settings: settings, ledger: ledger, logger: logger, removed: { [order.source] })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            defer { group.cancelAll() }
            while try await ledger.read(OrderRecord.self, from: nil).records.count < 2 {
                try await Task.sleep(for: .milliseconds(10))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        let records = try await ledger.read(OrderRecord.self, from: nil).records.map(\.body)
        guard records.count == 2, case .end(order.id, on: order.target, _, _) = records[1] else {
            Issue.record("\(records)")
            return
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a controller with the lock takes over, and orders with its epoch`()
        async throws
    {
        let ledger = InMemoryLedger(writer: .controller)
        try await overload(ledger)
        try await withFolder { folder in
            let service = try service(ledger, lock: ControllerLock(ledger: folder))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await service.run() }
                defer { group.cancelAll() }
                while try await ledger.read(OrderRecord.self, from: nil).records.count < 2 {
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
            let records = try await ledger.read(OrderRecord.self, from: nil).records.map(\.body)
            let epoch = try #require(records.first?.epoch)
            let orders = records.compactMap { if case .migrate(let order) = $0 { order } else { nil } }
            #expect(!orders.isEmpty && orders.allSatisfy { $0.epoch == epoch })
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a controller whose lock was lost writes nothing and ends`() async throws {
        let ledger = InMemoryLedger(writer: .controller)
        try await overload(ledger)
        try await withFolder { folder in
            let lock = try ControllerLock(ledger: folder)
            try FileManager.default.removeItem(atPath: "\(folder)/controller.lock")
            let error = await #expect(throws: LostControl.self) { try await service(ledger, lock: lock).run() }
            #expect(error?.reason == "its lock on the ledger was lost: its file was removed")
            #expect(try await ledger.read(OrderRecord.self, from: nil).records.isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a controller ends when another one has taken over`() async throws {
        let ledger = InMemoryLedger(writer: .controller)
        try await withFolder { folder in
            let service = try service(ledger, lock: ControllerLock(ledger: folder))
            async let end: Void = service.run()
            while try await ledger.read(OrderRecord.self, from: nil).records.isEmpty {
                try await Task.sleep(for: .milliseconds(10))
            }
            try await ledger.append(OrderRecord.takeOver(epoch: 1 << 60, controller: "another", at: .now))
            do {
                try await end
                Issue.record("it goes on")
            } catch let error as LostControl {
                #expect(error.reason.contains("another controller has taken over"))
            }
        }
    }

    private func service(_ ledger: InMemoryLedger, lock: ControllerLock) throws -> ControllerService {
        let settings = try configuration(["ledger.poll_interval=10ms", "policy.decision_interval=10ms"])
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return ControllerService(settings: settings, ledger: ledger, logger: logger, lock: lock)
    }

    @Test(.timeLimit(.minutes(1))) func `load statistics survive a restart, and no sample counts twice`() async throws {
        let ledger = InMemoryLedger(writer: .controller)
        try await overload(ledger)
        try await withFolder { folder in
            let path = "\(folder)/marks.statistics"
            let file = StateFile<LoadStatistics>(path: path)
            let settings = try configuration(["ledger.poll_interval=10ms", "policy.mode=off"])
            func run() async throws -> [Double] {
                let log = LogCapture()
                let service = ControllerService(
                    settings: settings,
                    ledger: ledger,
                    logger: log.logger("test"),
                    statistics: path
                )
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await service.run() }
                    while !log.contains("in control") { try await Task.sleep(for: .milliseconds(10)) }
                    group.cancelAll()
                }
                let vms = try #require(try file.read()).vms
                return vms.sorted { $0.key < $1.key }.map(\.value.seconds)
            }
            let first = try await run()
            #expect(first == [100, 100, 100, 100])
            #expect(try await run() == first)
            // A damaged file is replaced.
            try Data("[{".utf8).write(to: URL(fileURLWithPath: path))
            #expect(try await run() == first)
        }
    }

    /// Writes the last minutes of two hosts, one of them overloaded.
    private func overload(_ ledger: InMemoryLedger) async throws {
        let now = Instant.now
        for step in stride(from: 100, through: 1, by: -5) {
            for (name, busy) in [("h1", 3.9), ("h2", 0.2)] {
                let vms = (1...4).map {
                    VMSample(
                        id: VMID("uuid-\($0)"),
                        name: "vm\($0)",
                        state: .running,
                        cpuCores: 0.9,
                        vcpus: 1,
                        memoryBytes: 1 << 30
                    )
                }
                let sample = LoadSample(
                    host: HostName(name),
                    at: now - .seconds(step),
                    intervalSeconds: 5,
                    cpu: CPULoad(capacityCores: 4, busyCores: busy),
                    memory: MemoryLoad(totalBytes: 16 << 30, usedBytes: 5 << 30, availableBytes: 11 << 30),
                    vms: name == "h1" ? vms : []
                )
                try await ledger.writing(as: .host(HostName(name))).append(sample)
            }
        }
    }
}
