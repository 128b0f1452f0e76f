// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Hypervisor
import Ledger
import Settings
import TestSupport
import Testing

@testable import HostAgent

/// Sealed moves by two agents: whatever fails, the VM runs on exactly one host.
@Suite(.timeLimit(.minutes(2))) struct SealedMoveTests {
    private let fleet = TestFleet(channels: [.ipsec, .sealed])
    private let order = MigrationOrder.sealed(at: .now)

    init() { fleet.world.place(.testVM(), on: h1) }

    /// Folders of this test: one for each host's memory, and a shared one.
    private func withFolders(
        _ body: (_ settings: @escaping @Sendable (HostName) -> Settings, Folders) async throws -> Void
    )
        async throws
    {
        let folders = Folders(root: "/dev/shm/eka-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            atPath: folders.root,
            withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700]
        )
        defer { try? FileManager.default.removeItem(atPath: folders.root) }
        try await body(
            { host in
                var settings = Settings.sample()
                settings.migration.sealedFolder = folders.memory(host)
                settings.migration.sealedStorage = folders.storage
                return settings
            },
            folders
        )
    }

    private struct Folders: Sendable {
        let root: String
        var storage: String { "\(root)/storage" }
        @Sendable func journal(_ host: HostName) -> String? { "\(root)/\(host).orders" }
        func memory(_ host: HostName) -> String { "\(root)/\(host)" }
        func sealed(_ order: MigrationOrder) -> String { "\(storage)/\(order.id)" }

        /// Returns the files below the shared folder, of all hosts.
        func files() -> [String] {
            (FileManager.default.subpaths(atPath: root) ?? []).filter { path in
                var isFolder: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: "\(root)/\(path)", isDirectory: &isFolder)
                return !isFolder.boolValue && !path.hasSuffix(".orders")
            }
        }
    }

    private func expectNothingLeft(_ folders: Folders) async throws {
        try await eventually("no image is left: \(folders.files())") { folders.files() == [] }
        #expect(fleet.world.violations == [])
    }

    @Test func `a VM is sealed and restored, and no files remain`() async throws {
        try await withFolders { settings, folders in
            try await fleet.run(settings: settings, journal: folders.journal) {
                try await fleet.submit(order)
                guard case .done(let outcome, let evidence) = try await fleet.end(of: order) else {
                    throw Unexpected(description: "\(try await fleet.steps(of: order))")
                }
                #expect(evidence.verdict == .covered)
                guard case .sealed = evidence.proof else {
                    Issue.record("\(evidence)")
                    return
                }
                #expect(evidence.bytesByHypervisor == outcome.bytesTransferred)
                #expect(try #require(evidence.bytesOnPath) > #require(evidence.bytesByHypervisor))
                #expect(outcome.downtimeSeconds != nil && outcome.note == nil)
                try await expectNothingLeft(folders)
            }
            #expect(
                try await fleet.steps(of: order).map(\.word)
                    == ["accepted", "prepared", "running", "sealed", "opened", "released", "restored", "done"]
            )
            #expect(fleet.world.hostsRunning(vm) == [h2])
            #expect(try await fleet.world.hypervisor(of: h1).presence(of: vm) == .absent)
        }
    }

    @Test(arguments: [h1, h2])
    func `while the closed channels are unreadable, no protected move begins`(_ host: HostName) async throws {
        try await withFolders { settings, folders in
            let path = "\(folders.root)/marks.closed"
            try Data("[{".utf8).write(to: URL(filePath: path))
            try await fleet.run(settings: settings, journal: folders.journal, closures: { $0 == host ? path : nil }) {
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.kind == .refused && failure.preflight.map(\.host) == [host])
                #expect(failure.text.contains("\(path): cannot read the closed channels"))
                #expect(failure.text.contains("start this program again"), "\(failure.text)")
            }
            #expect(fleet.world.hostsRunning(vm) == [h1])
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "[{")
        }
    }

    @Test func `an image that was changed on the storage is declined, and the VM returns`() async throws {
        try await withFolders { settings, folders in
            // Only the source runs and seals; then the file is changed, and the target starts.
            try await fleet.run(
                settings: settings,
                journal: folders.journal,
                through: {
                    HookedLedger(inner: $0) {
                        var data = try Data(contentsOf: URL(filePath: folders.sealed(order)))
                        data[data.count / 2] ^= 1
                        try data.write(to: URL(filePath: folders.sealed(order)))
                    }
                }
            ) {
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.kind == .migration && failure.whereabouts == .at(h1))
                #expect(failure.text.contains("was changed") || failure.text.contains("signed for"))
                try await expectNothingLeft(folders)
            }
            let steps = try await fleet.steps(of: order).map(\.word)
            #expect(steps == ["accepted", "prepared", "running", "sealed", "declined", "failed"])
            #expect(fleet.world.hostsRunning(vm) == [h1])
        }
    }

    @Test func `an image is not released once a person has started the VM`() async throws {
        try await withFolders { settings, folders in
            try await fleet.run(
                settings: settings,
                journal: folders.journal,
                through: { HookedLedger(inner: $0) { fleet.world.place(.testVM(), on: h1) } }
            ) {
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.whereabouts == .at(h1) && failure.text.contains("cannot release the image"))
                try await expectNothingLeft(folders)
            }
            let steps = try await fleet.steps(of: order).map(\.word)
            #expect(steps == ["accepted", "prepared", "running", "sealed", "opened", "withdrawn", "failed"])
            #expect(fleet.world.hostsRunning(vm) == [h1])
        }
    }

    @Test func `memory that may be older than the VM's disks is not used`() async throws {
        try await withFolders { settings, folders in
            try await fleet.run(
                settings: settings,
                journal: folders.journal,
                // A person has defined the VM, started it, and shut it off.
                through: { HookedLedger(inner: $0) { fleet.world.place(.testVM(), on: h1, as: .inactive) } }
            ) {
                try await fleet.submit(order)
                try await eventually("it is told") { fleet.log.contains("an operator or a program defined") }
                #expect(fleet.world.hostsRunning(vm) == [])
            }
            let steps = try await fleet.steps(of: order).map(\.word)
            #expect(steps == ["accepted", "prepared", "running", "sealed", "opened", "withdrawn"])
            #expect(fleet.world.violations == [])
        }
    }

    @Test func `a target that cannot restore declines, and the VM returns`() async throws {
        try await withFolders { settings, folders in
            try await fleet.run(
                settings: settings,
                journal: folders.journal,
                through: {
                    HookedLedger(inner: $0) {
                        fleet.world.script(vm, .fail(.failed, detail: "no such bridge"))
                    }
                }
            ) {
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.whereabouts == .at(h1) && failure.text.contains("no such bridge"))
                try await expectNothingLeft(folders)
            }
            let steps = try await fleet.steps(of: order).map(\.word)
            #expect(steps == ["accepted", "prepared", "running", "sealed", "opened", "released", "declined", "failed"])
            #expect(fleet.world.hostsRunning(vm) == [h1])
        }
    }

    @Test(arguments: [true, false])
    func `the agents find out the result of a restore in doubt`(done: Bool) async throws {
        try await withFolders { settings, folders in
            try await fleet.run(
                settings: settings,
                journal: folders.journal,
                through: {
                    HookedLedger(inner: $0) {
                        fleet.world.script(vm, .loseTouch(done: done))
                    }
                }
            ) {
                try await fleet.submit(order)
                let end = try await fleet.end(of: order)
                #expect(end.word == (done ? "done" : "failed"), "\(end)")
                try await expectNothingLeft(folders)
            }
            #expect(fleet.world.hostsRunning(vm) == [done ? h2 : h1])
        }
    }

    @Test func `a target whose agent dies before the restore loses its turn`() async throws {
        try await withFolders { settings, folders in
            // Only the source runs; the target's agent has died with the key.
            try await fleet.run([h1], settings: settings, journal: folders.journal, handover: .seconds(1)) {
                try await consent()
                let failure = try await fleet.failure(of: order)
                #expect(failure.whereabouts == .at(h1) && failure.text.contains("did not take the image in time"))
            }
            let words = try await fleet.steps(of: order).map(\.word)
            #expect(words.suffix(3) == ["sealed", "withdrawn", "failed"])
            #expect(fleet.world.hostsRunning(vm) == [h1])
            try await fleet.run(settings: settings, journal: folders.journal) { try await expectNothingLeft(folders) }
        }
    }

    @Test func `a target whose agent restarts without the key declines`() async throws {
        try await withFolders { settings, folders in
            try await fleet.run([h1], settings: settings, journal: folders.journal) {
                try await consent()
                try await eventually("it is sealed") { try await fleet.steps(of: order).last?.word == "sealed" }
                #expect(fleet.world.hostsRunning(vm) == [])
                // Nobody can start it meanwhile.
                #expect(try await fleet.world.hypervisor(of: h1).presence(of: vm) == .absent)
                let kept = "\(try #require(folders.journal(h1)))-definitions/\(order.id).xml"
                #expect(try String(contentsOfFile: kept, encoding: .utf8) == "<domain/>")
                try await fleet.run([h2], settings: settings, journal: folders.journal) {
                    let failure = try await fleet.failure(of: order)
                    #expect(failure.whereabouts == .at(h1))
                    try await expectNothingLeft(folders)
                }
            }
            #expect(try await fleet.steps(of: order).map(\.word).contains("declined"))
            #expect(fleet.world.hostsRunning(vm) == [h1])
        }
    }

    @Test func `a source that dies after the save takes the VM back`() async throws {
        try await withFolders { settings, folders in
            try await fleet.run([h1], settings: settings, journal: folders.journal) {
                try await consent()
                try await eventually("it is sealed") { try await fleet.steps(of: order).last?.word == "sealed" }
            }
            // As if the agent had died before its report: entry and image exist, but no step.
            let other = TestFleet(channels: [.sealed], world: fleet.world)
            try await other.submit(order)
            for (step, host) in Self.begun { try await other.write(step, of: order, by: host) }
            try await other.run([h1], settings: settings, journal: folders.journal) {
                let failure = try await other.failure(of: order)
                #expect(failure.whereabouts == .at(h1))
            }
            #expect(fleet.world.hostsRunning(vm) == [h1])
            #expect(fleet.world.violations == [])
            try await expectNothingLeft(folders)
        }
    }

    @Test func `an unreadable journal is logged once and not at each attempt`() async throws {
        try await withFolders { settings, folders in
            try Data("{".utf8).write(to: URL(filePath: #require(folders.journal(h1))))
            try await fleet.submit(order)
            for (step, host) in Self.begun { try await fleet.write(step, of: order, by: host) }
            try await fleet.run([h1], settings: settings, journal: folders.journal) {
                try await eventually("it is told") { fleet.log.contains("order o1 waits") }
                // Two attempts later.
                try await Task.sleep(for: .seconds(5))
            }
            #expect(fleet.log.count("order o1 waits") == 1)
            #expect(fleet.log.contains("is damaged"))
        }
    }

    @Test func `a channel that the target does not have is refused`() async throws {
        let fleet = TestFleet(channels: [.ipsec])
        fleet.world.place(.testVM(), on: h1)
        try await withFolders { settings, folders in
            try await fleet.run(settings: settings, journal: folders.journal) {
                try await fleet.submit(order)
                let failure = try await fleet.failure(of: order)
                #expect(failure.kind == .refused)
            }
            #expect(fleet.world.hostsRunning(vm) == [h1] && folders.files() == [])
        }
    }

    private static let begun: [(OrderStep, HostName)] = [
        (.accepted(requirements: .testVM()), h1),
        (.prepared(sealingKey: Data(1...32).base64EncodedString()), h2),
        (
            .running(
                progress: MigrationProgress(elapsedSeconds: 0, bytesTransferred: 0, bytesRemaining: 0, bytesTotal: 0)
            ), h1
        ),
    ]

    /// Orders the move and consents for a target's agent that no longer exists, with a key that no agent has.
    private func consent() async throws {
        try await fleet.submit(order)
        try await eventually("it is accepted") { try await fleet.steps(of: order).last?.word == "accepted" }
        try await fleet.write(Self.begun[1].0, of: order, by: h2)
    }
}

/// Runs an action just before the source reports a sealed image.
private struct HookedLedger: FleetLedger {
    let inner: InMemoryLedger
    let onSealed: @Sendable () throws -> Void

    func append<Entry: LedgerEntry>(_ entry: Entry) async throws {
        if let report = entry as? OrderReport, case .sealed = report.step { try onSealed() }
        try await inner.append(entry)
    }

    func read<Entry: LedgerEntry>(
        _ entries: Entry.Type,
        from cursor: Cursor?,
        limit: Int
    ) async throws -> LedgerBatch<Entry> {
        try await inner.read(entries, from: cursor, limit: limit)
    }
}

extension MigrationOrder {
    static func sealed(at instant: Instant) -> MigrationOrder {
        var order = MigrationOrder.testOrder(channel: .sealed, at: instant)
        order.technique = .stopAndCopy
        return order
    }
}
