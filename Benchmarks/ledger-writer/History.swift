// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger
import Synchronization

/// A signed ledger with a week of a fleet's history, to measure how long programs take to start on it.
///
/// Orders and reports are complete. Of the samples, only those of the last hour are written: readers find the beginning
/// of what they need by bisection, so older samples cost them next to nothing.
struct History {
    let folder: String
    private let hosts: [HostName]
    private let vms: Int
    private let keys: [LedgerWriter: SigningKey]
    private let roster: Roster
    private let now = Instant(milliseconds: Int64(Date.now.timeIntervalSince1970 * 1000))

    private static let movesPerDay = 200
    private static let days = 7
    /// Reports of progress of one move: a minute, every 2 s.
    private static let progressReports = 30
    private static let hourOfSamples = 720

    /// A folder from which a command reads the roster.
    private var identity: String { "\(folder).identity" }

    init(folder: String, hosts: Int, vms: Int) throws {
        self.folder = folder
        self.vms = vms
        self.hosts = (1...max(2, hosts)).map { HostName("h\($0)") }
        let writers = self.hosts.map { LedgerWriter.host($0) } + [.controller]
        keys = Dictionary(uniqueKeysWithValues: writers.map { ($0, SigningKey()) })
        let (authority, later) = (SigningKey(), Instant(milliseconds: 1 << 50))
        let anchor = Roster.Anchor(certificate: "", revocations: "", key: authority.verification, expires: later)
        let members = keys.map {
            Roster.Member(name: $0, certificate: "", expires: later, keys: [$1.verification])
        }
        roster = Roster(cluster: "bench", number: 1, issuedAt: now, anchors: [anchor], members: members)
        try FileManager.default.createDirectory(atPath: identity, withIntermediateDirectories: true)
        let signed = try SignedRoster(roster, signedBy: [authority])
        try Data(signed.json).write(to: URL(fileURLWithPath: "\(identity)/\(SignedRoster.fileName)"))
    }

    private func open(_ writer: LedgerWriter?, at instant: Instant? = nil) -> SharedLog {
        let security = LedgerSecurity.signed(by: writer.flatMap { keys[$0] }) { [roster] in roster }
        let time = instant ?? now
        return SharedLog(folder: folder, writer: writer ?? .controller, security: security, now: { time })
    }

    func write() async throws {
        try await SharedLog.create(folder: folder)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await writeMoves() }
            for host in hosts { group.addTask { try await writeSamples(of: host) } }
            try await group.waitForAll()
        }
    }

    private func writeMoves() async throws {
        let count = Self.movesPerDay * Self.days
        for number in 0..<count {
            let age = Int64(count - number) * 86400 / Int64(Self.movesPerDay)
            try await writeMove(number, at: now - .seconds(age))
        }
    }

    private func writeMove(_ number: Int, at begin: Instant) async throws {
        let (source, target) = (hosts[number % hosts.count], hosts[(number + 1) % hosts.count])
        let order = MigrationOrder(
            id: OrderID("bench-\(number)"),
            vm: vm(number % vms, of: source).id,
            vmName: "vm\(number % vms)",
            source: source,
            target: target,
            channel: .ipsec,
            issuedAt: begin,
            expires: begin + .seconds(120),
            issuer: .controller,
            reason: "h1 is overloaded (CPU 88 %, 80 % allowed)"
        )
        try await open(.controller, at: begin).append(OrderRecord.migrate(order: order))
        func report(_ step: OrderStep, by host: HostName, after seconds: Int) async throws {
            let time = begin + .seconds(seconds)
            let report = OrderReport(order: order.id, host: host, at: time, step: step)
            try await open(.host(host), at: time).append(report)
        }
        try await report(.prepared(), by: target, after: 1)
        let total = UInt64(8) << 30
        for step in 1...Self.progressReports {
            let sent = total / UInt64(Self.progressReports) * UInt64(step)
            let progress = MigrationProgress(
                elapsedSeconds: Double(step) * 2,
                bytesTransferred: sent,
                bytesRemaining: total - sent,
                bytesTotal: total,
                iteration: 1,
                dirtyPagesPerSecond: 1000
            )
            try await report(.running(progress: progress), by: source, after: 2 * step)
        }
        let outcome = MigrationOutcome(startedAt: begin, endedAt: begin + .seconds(61), totalSeconds: 60)
        let evidence = Evidence(channel: .ipsec, bytesOnPath: total, bytesByHypervisor: total, verdict: .covered)
        try await report(.done(outcome: outcome, evidence: evidence), by: source, after: 61)
    }

    private func writeSamples(of host: HostName) async throws {
        // One opening, as in an agent: the first sample of each is whole.
        let clock = SampleClock()
        let security = LedgerSecurity.signed(by: keys[.host(host)]) { [roster] in roster }
        let log = SharedLog(
            folder: folder,
            writer: .host(host),
            security: security,
            now: { clock.time.withLock { $0 } }
        )
        for step in (0..<Self.hourOfSamples).reversed() {
            let time = now - .seconds(step * 5)
            let sample = LoadSample(
                host: host,
                at: time,
                intervalSeconds: 5,
                cpu: CPULoad(capacityCores: 64, busyCores: 20.25),
                memory: MemoryLoad(totalBytes: 512 << 30, usedBytes: 200 << 30, availableBytes: 312 << 30),
                vms: (0..<vms).map { vm($0, of: host, at: step) }
            )
            clock.time.withLock { $0 = time }
            try await log.append(sample)
        }
    }

    /// Prints how many bytes a sample takes, compared with a whole one, which is the first line of each log.
    func printSizes() throws {
        var (bytes, lines, whole) = (0, 0, 0)
        let logs = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/load").map { "\(folder)/load/\($0)" }
        for log in logs {
            let segments = try FileManager.default.contentsOfDirectory(atPath: log).sorted()
            for (number, segment) in segments.enumerated() {
                let content = try Data(contentsOf: URL(fileURLWithPath: "\(log)/\(segment)"))
                let newline = UInt8(ascii: "\n")
                bytes += content.count
                lines += content.count { $0 == newline }
                if number == 0 { whole += content.prefix { $0 != newline }.count + 1 }
            }
        }
        let (mean, alone) = (Double(bytes) / Double(max(1, lines)), Double(whole) / Double(max(1, logs.count)))
        say(
            String(format: "%.0f bytes per sample, %.0f for a whole one (%.0f %%)", mean, alone, mean / alone * 100)
                + ": \(lines) samples of \(vms) VMs"
        )
    }

    /// Returns a VM whose figures differ from step to step.
    private func vm(_ number: Int, of host: HostName, at step: Int = 0) -> VMSample {
        VMSample(
            id: VMID("4f0c2b9d-11e8-4a6f-9be0-\(host)-\(number)"),
            name: "\(host)-vm\(number)",
            state: .running,
            cpuCores: Double(20_011 * (1 + (step * 37 + number * 11) % 97)) / 1e6,
            waitingCores: Double(507 * (1 + (step * 53 + number * 7) % 89)) / 1e6,
            vcpus: 4,
            memoryBytes: 8 << 30,
            definition: String(repeating: "5d41c7a2", count: 8)
        )
    }

    /// Prints how long readers take: an agent until it takes orders, and `evenkeel status`.
    func measure(status program: String) async throws {
        let (week, host) = (Duration.seconds(8 * 86400), hosts[0])
        try await time("orders and reports, everything (earlier agents and commands)") {
            try await read(.everything, samples: false)
        }
        try await time("an agent, until it takes orders") {
            try await read(.ofAgent(on: host, ended: week, at: now), samples: false)
        }
        let present = LedgerHistory.recent(
            ended: .seconds(86400 + 1800),
            samples: .seconds(1860),
            thinned: true,
            at: now
        )
        try await time("the past that 'evenkeel status' reads") { try await read(present, samples: true) }
        for _ in 1...3 {
            try await time("evenkeel status") {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: program)
                process.arguments =
                    ["status", "--ledger", folder, "--set", "identity.folder=\(identity)"]
                    + ["operator", "controller"].flatMap { ["--set", "identity.\($0)=\(folder).none"] }
                process.standardOutput = FileHandle.nullDevice
                try process.run()
                process.waitUntilExit()
                guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
                return 0
            }
        }
    }

    private func read(_ history: LedgerHistory, samples: Bool) async throws -> Int {
        var follower = LedgerFollower(open(nil), history)
        var count = 0
        try await follower.readOrders { _ in count += 1 }
        try await follower.readReports { _ in count += 1 }
        if samples { try await follower.readSamples { _ in count += 1 } }
        return count
    }

    private func time(_ name: String, _ body: () async throws -> Int) async throws {
        let start = ContinuousClock.now
        let count = try await body()
        let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1000
        say(String(format: "%.2f s  %@ (%d records)", seconds, name, count))
    }
}

/// The time of the next sample.
private final class SampleClock: Sendable {
    let time = Mutex(Instant(milliseconds: 0))
}
