// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Lab
import Ledger
import Settings
import Testing

/// A lab for one test.
///
/// It is created before the test and always taken down after it; the invariant is checked at the end.
struct TestLab {
    let lab: HostLab
    let programs: Programs
    var settings: Settings

    /// Separate names, so that an operator's running lab is not disturbed.
    static let site = LabSite(name: "evenkeel-test", shortName: "ekt")

    static func with(
        _ plan: LabPlan,
        change: (inout Settings) -> Void = { _ in },
        _ body: (TestLab) async throws -> Void
    ) async throws {
        // The possible remains of a killed run.
        try await HostLab.down(site: site)
        let lab = try await HostLab.up(plan, site: site)
        let result: Result<Void, any Error>
        do {
            var settings = lab.settings
            change(&settings)
            let world = TestLab(lab: lab, programs: Self.builtPrograms, settings: settings)
            try lab.configure(settings)
            try await lab.startAgents(world.programs, settings: settings)
            try await body(world)
            try await world.expectInvariant()
            try await world.expectNoKeyWasTold()
            result = .success(())
        } catch {
            for log in lab.hosts.map({ $0.logPath(of: "agent") }) + [lab.controllerLog] {
                print("--- \(log)\n\(((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").suffix(3000))")
            }
            result = .failure(error)
        }
        try await Task { try await HostLab.down(site: site) }.value
        #expect(try HostLab.leftovers(site: site).isEmpty)
        try result.get()
    }

    /// The folder of this package's tests, where `swift build --build-tests` puts the programs.
    static let builtPrograms: Programs = {
        if let folder = ProcessInfo.processInfo.environment["EVENKEEL_TEST_PROGRAMS"] {
            return Programs(folder: folder)
        }
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return Programs(folder: root.appending(path: ".build/debug").path)
    }()

    func host(_ name: String) throws -> LabHost { try lab.host(HostName(name)) }

    func guest(_ name: String) throws -> GuestPlan { try lab.guest(name) }

    // MARK: the ledger

    func steps() async throws -> [OrderReport] {
        var reports: [OrderReport] = []
        var cursor: Cursor?
        let ledger = try lab.ledger(as: .operator)
        while true {
            let batch = try await ledger.read(OrderReport.self, from: cursor)
            reports += batch.records.map(\.body)
            cursor = batch.next
            if !batch.hasMore { return reports }
        }
    }

    func orders() async throws -> [MigrationOrder] {
        let batch = try await lab.ledger(as: .operator).read(OrderRecord.self, from: nil)
        return batch.records.compactMap { if case .migrate(let order) = $0.body { order } else { nil } }
    }

    // MARK: the invariant

    /// Expects each VM to continue on exactly one host, with a correct memory checksum and an unbroken disk sequence.
    func expectInvariant() async throws {
        try await poll("every VM to be on one host", within: .seconds(30)) {
            try await lab.placement().values.allSatisfy { $0.running.count == 1 && $0.active.count == 1 }
        }
        for guest in lab.guests {
            let before = try lab.console(of: guest).readings.last
            try await poll("\(guest.name) to go on working", within: .seconds(60)) {
                guard let now = try lab.console(of: guest).readings.last, let before else { return false }
                return now.uptime >= before.uptime + .seconds(3) && now.units > before.units
                    && (now.diskSequence ?? 0) > (before.diskSequence ?? 0)
            }
            let console = try lab.console(of: guest)
            #expect(console.starts == 1, "\(guest.name) was moved, not started anew")
            #expect(console.errors.isEmpty)
            let problems = console.readings.compactMap { $0.memoryProblem ?? $0.diskProblem }
            #expect(problems.isEmpty, "\(guest.name)")
            let disk = try await lab.disk(of: guest)
            #expect(disk.problems.isEmpty && disk.highest > 0, "\(guest.name)")
        }
    }

    func expect(_ guest: String, on host: String) async throws {
        let hosts = try await lab.runsOn(self.guest(guest))
        #expect(hosts == [HostName(host)], "\(guest)")
    }

    /// Polls until the condition holds; throws an error that names the condition at the limit.
    func poll(_ what: String, within limit: Duration, until condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(300))
        }
        throw Unexpected("waited \(limit) in vain for \(what)")
    }

    struct Unexpected: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }
}
