// SPDX-License-Identifier: Apache-2.0
import EvenkeelCLI
import Fleet
import Foundation
import HostOS
import Lab
import Settings

/// Observes the long-running programs in a lab, first in real time, then at high speed.
///
/// The programs are those of production hosts; only their configuration is the lab's.
struct Soak: Sendable {
    let plan: SoakPlan
    let site: LabSite
    let programs: Programs
    let log: @Sendable (String) -> Void

    #if DEBUG
    private static let isRelease = false
    #else
    private static let isRelease = true
    #endif

    /// Starts the lab, observes, and always takes the lab down.
    func run() async throws -> SoakReport {
        let lab = try await HostLab.up(plan.lab, site: site) { log("lab: \($0)") }
        let result: Result<SoakReport, any Error>
        do { result = .success(try await observe(lab)) } catch {
            for end in logs(of: lab) where !end.lastLines.isEmpty { log("end of \(end.path):\n\(end.lastLines)") }
            result = .failure(error)
        }
        // In a separate task: in a cancelled one every wait of the clean-up would throw at once.
        let cleanUp = await Task { [site] in try await HostLab.down(site: site) }.result
        if case .failure(let error) = cleanUp { log("\(error)") }
        let report = try result.get()
        try cleanUp.get()
        return report
    }

    private func observe(_ lab: HostLab) async throws -> SoakReport {
        let simulatedHost = try lab.host(HostPlan(number: SoakPlan.simulatedHost).name)
        let cluster = try await SimulatedCluster.make(in: lab, on: simulatedHost, vms: SoakPlan.vms)
        let realHosts = lab.hosts.filter { $0.name != simulatedHost.name }
        var settings = settings(of: lab, for: plan.realTime)
        settings.inventory = Inventory(hosts: realHosts.map(\.inventoryEntry))

        log("real time: agents and controllers start, \(Units.seconds(plan.realTime.seconds))")
        for host in realHosts { try await lab.startAgent(on: host, programs, settings: settings) }
        try lab.configure(settings)
        try await lab.startController(programs)
        try await cluster.start(programs, settings: settings)
        async let moves = self.moves(in: lab, among: realHosts)
        var real = try await observe(
            plan.realTime,
            try realHosts.map { try agent($0, simulated: false) } + [controller(of: lab)]
                + recordSubjects("of the lab", site.ledgerFolder, hosts: realHosts.count) + subjects(of: cluster),
            ledgers: [("of the lab", site.ledgerFolder, realHosts.count), (simulated, cluster.ledgerFolder, 1)],
            logs: logPaths(of: lab)
        )
        real.moves = try await moves
        try await stop(lab, realHosts)
        try await cluster.stop()

        log("high speed: agent and controller start, \(plan.samples) samples")
        try await cluster.start(programs, settings: self.settings(of: lab, for: plan.fast))
        let fast = try await observe(
            plan.fast,
            try subjects(of: cluster),
            ledgers: [(simulated, cluster.ledgerFolder, 1)],
            logs: [cluster.host.logPath(of: "agent"), cluster.controllerLog],
            endsAfterSamples: plan.samples
        )
        try await cluster.stop()
        return SoakReport(
            machine: "\(ProcessInfo.processInfo.activeProcessorCount) cores, guests by "
                + (lab.domainType == "kvm" ? "KVM" : "software emulation (TCG)")
                + (Self.isRelease ? ", release build" : ", debug build: memory and CPU limits are not judged"),
            plan: plan,
            phases: [real, fast],
            logs: logs(of: lab)
        )
    }

    private let simulated = "of h\(SoakPlan.simulatedHost)"

    private func settings(of lab: HostLab, for phase: SoakPhase) -> Settings {
        var settings = lab.settings
        settings.sampling.interval = .milliseconds(Int64(phase.samplingInterval * 1000))
        settings.decisionInterval = Settings().decisionInterval
        settings.ledger.segmentBytes = plan.segmentBytes
        settings.ledger.retention.load.bytes = plan.sampleBytes
        return settings
    }

    /// Stops the lab's own cluster and its guests, which would take CPU from the next phase.
    private func stop(_ lab: HostLab, _ hosts: [LabHost]) async throws {
        try await lab.killController(signal: .terminate)
        for host in hosts {
            try await host.killAgent(signal: .terminate)
            for guest in try await host.virsh(["list", "--name"]).split(whereSeparator: \.isWhitespace) {
                try await host.virsh(["destroy", String(guest)])
            }
        }
    }

    // MARK: a phase

    private func observe(
        _ phase: SoakPhase,
        _ subjects: [SoakSubject],
        ledgers: [(name: String, folder: String, hosts: Int)],
        logs: [String],
        endsAfterSamples wanted: Int? = nil
    ) async throws -> SoakReport.Phase {
        var counts = ledgers.map { SampleCount(ledger: $0.folder) }
        for index in counts.indices { counts[index].update() }
        let before = counts.map(\.samples)
        let logSizes = logs.map(Self.size)
        var lastReport = 0.0
        let series = try await SoakObserver(subjects: subjects).observe(phase) {
            for index in counts.indices { counts[index].update() }
            // The ledger with the simulated VMs, whose controller has the longest history, is the last.
            return (counts.last?.samples ?? 0) - (before.last ?? 0)
        } isDone: { elapsed, series in
            let written = zip(counts, before).map { $0.samples - $1 }
            if elapsed - lastReport >= (plan.isShort ? 10 : 60) {
                log(Self.progress(phase, elapsed, written, series))
                lastReport = elapsed
            }
            return wanted.map { (written.first ?? 0) >= $0 } ?? false
        }
        return SoakReport.Phase(
            phase: phase,
            seconds: series.first?.readings.last?.at ?? 0,
            samples: ledgers.indices.map { index in
                SoakReport.Samples(
                    ledger: ledgers[index].name,
                    written: counts[index].samples - before[index],
                    fewest: plan.fewestSamples(in: phase, hosts: ledgers[index].hosts)
                )
            },
            verdicts: zip(series, subjects).map { series, subject in
                SoakVerdict(
                    series,
                    phase: phase.name,
                    warmUp: phase.warmUp,
                    limits: plan.limits(of: subject.kind, in: phase, isRelease: Self.isRelease)
                )
            },
            series: series,
            logGrowth: zip(logs, logSizes).map { path, size in
                SoakReport.LogGrowth(
                    path: path,
                    bytes: max(0, Self.size(of: path) - size),
                    samples: zip(counts, before).map { $0.samples - $1 }.reduce(0, +),
                    limit: plan.logBytesPerSample(in: phase)
                )
            }
        )
    }

    private static func size(of path: String) -> Int {
        ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber)?.intValue ?? 0
    }

    /// Orders a move of a real guest every two minutes until real time is over or an agent has ended; a short soak
    /// moves nothing.
    private func moves(in lab: HostLab, among hosts: [LabHost]) async throws -> SoakReport.Moves? {
        guard plan.fewestMoves > 0 else { return nil }
        var moves = SoakReport.Moves(fewest: plan.fewestMoves)
        let interval = Duration.seconds(SoakPlan.moveInterval)
        let end = ContinuousClock.now + .seconds(plan.realTime.seconds) - interval
        while ContinuousClock.now < end, hosts.allSatisfy({ !$0.processes(of: "agent").isEmpty }) {
            let next = ContinuousClock.now + interval
            let guest = lab.guests[moves.ordered % lab.guests.count]
            moves.ordered += 1
            do {
                let here = try await lab.runsOn(guest).first
                guard let target = hosts.map(\.name).filter({ $0 != here }).randomElement() else { break }
                let move = try await lab.move(guest, to: target, channel: .ipsec, within: interval)
                if move.outcome != nil {
                    moves.done += 1
                } else {
                    log("move of \(guest.name): \(String(describing: move.failure))")
                }
            } catch {
                try Task.checkCancellation()
                log("move of \(guest.name): \(error)")
            }
            try await Task.sleep(until: next, clock: .continuous)
        }
        return moves
    }

    private static func progress(
        _ phase: SoakPhase,
        _ elapsed: Double,
        _ samples: [Int],
        _ series: [SoakSeries]
    ) -> String {
        let memory = series.compactMap { series in
            series.readings.last?.process.map { "\(series.subject) \(mebibytes($0.privateBytes))" }
        }
        return "\(phase.name), \(Units.seconds(elapsed)): \(samples.reduce(0, +)) samples; private memory: "
            + memory.joined(separator: ", ")
    }

    // MARK: subjects

    private func agent(_ host: LabHost, simulated: Bool) throws -> SoakSubject {
        SoakSubject(
            name: "agent \(host.name)" + (simulated ? " (\(SoakPlan.vms) simulated VMs)" : ""),
            kind: .agent(simulated: simulated),
            process: try only(host.processes(of: "agent"), "agent of \(host.name)", log: host.logPath(of: "agent")),
            files: WatchedFiles(folders: [host.folder, host.identityFolder, host.sealedFolder])
        )
    }

    private func subjects(of cluster: SimulatedCluster) throws -> [SoakSubject] {
        let controller = SoakSubject(
            name: "controller \(simulated)",
            kind: .controller,
            process: try only(cluster.controllerProcesses, "controller \(simulated)", log: cluster.controllerLog),
            files: WatchedFiles(prefixes: [cluster.controllerMarks])
        )
        return [try agent(cluster.host, simulated: true), controller]
            + recordSubjects(simulated, cluster.ledgerFolder, hosts: 1)
    }

    private func controller(of lab: HostLab) throws -> SoakSubject {
        SoakSubject(
            name: "controller",
            kind: .controller,
            process: try only(lab.controllerProcesses, "controller", log: lab.controllerLog),
            files: WatchedFiles(
                folders: [site.controllerIdentity],
                prefixes: [lab.settings.ledger.marks ?? "\(site.stateFolder)/marks-controller.json"]
            )
        )
    }

    private func recordSubjects(_ name: String, _ folder: String, hosts: Int) -> [SoakSubject] {
        [
            SoakSubject(
                name: "ledger \(name): samples",
                kind: .samples(hosts: hosts),
                files: WatchedFiles(parents: ["\(folder)/load"])
            ),
            SoakSubject(
                name: "ledger \(name): other records",
                kind: .otherRecords,
                files: WatchedFiles(folders: [folder], parents: ["\(folder)/definitions"])
            ),
        ]
    }

    private func only(_ processes: [Int32], _ what: String, log: String) throws -> Int32 {
        guard processes.count == 1, let process = processes.first else {
            throw SoakError(program: what, processes: processes.count, log: log)
        }
        return process
    }

    private func logPaths(of lab: HostLab) -> [String] {
        lab.hosts.map { $0.logPath(of: "agent") } + [lab.controllerLog]
            + ["\(site.stateFolder)/simulated/controller.log"]
    }

    private func logs(of lab: HostLab) -> [SoakReport.Log] {
        logPaths(of: lab).map { path in
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return SoakReport.Log(
                path: path,
                lastLines: text.split(separator: "\n").suffix(12).map { String($0.prefix(400)) }.joined(separator: "\n")
            )
        }
    }
}

/// A program of a soak does not run, or runs more than once.
struct SoakError: Error, CustomStringConvertible {
    var program: String
    var processes: Int
    var log: String

    var description: String {
        "\(program): \(processes) processes run instead of one. Its log was \(log); the end is shown above."
    }
}
