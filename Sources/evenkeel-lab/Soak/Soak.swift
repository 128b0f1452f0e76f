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
    let say: @Sendable (String) -> Void

    #if DEBUG
    private static let isRelease = false
    #else
    private static let isRelease = true
    #endif

    /// Starts the lab, observes, and always takes the lab down.
    func run() async throws -> SoakReport {
        let lab = try await HostLab.up(plan.lab, site: site) { say("lab: \($0)") }
        let result: Result<SoakReport, any Error>
        do { result = .success(try await observe(lab)) } catch {
            for log in logs(of: lab) where !log.lastLines.isEmpty { say("end of \(log.path):\n\(log.lastLines)") }
            result = .failure(error)
        }
        // In a separate task: in a cancelled one every wait of the clean-up would throw at once.
        let cleanUp = await Task { [site] in try await HostLab.down(site: site) }.result
        if case .failure(let error) = cleanUp { say("\(error)") }
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

        say("real time: agents and controllers start, \(Units.seconds(plan.realTime.seconds))")
        for host in realHosts { try await lab.startAgent(on: host, programs, settings: settings) }
        try lab.configure(settings)
        try await lab.startController(programs)
        try await cluster.start(programs, settings: settings)
        let real = try await observe(
            plan.realTime,
            try realHosts.map { try agent($0, simulated: false) } + [controller(of: lab)]
                + recordSubjects("of the lab", site.ledgerFolder, hosts: realHosts.count) + subjects(of: cluster),
            ledgers: [("of the lab", site.ledgerFolder, realHosts.count), (simulated, cluster.ledgerFolder, 1)]
        )
        try await stop(lab, realHosts)
        try await cluster.stop()

        say("high speed: agent and controller start, \(plan.samples) samples")
        try await cluster.start(programs, settings: self.settings(of: lab, for: plan.fast))
        let fast = try await observe(
            plan.fast,
            try subjects(of: cluster),
            ledgers: [(simulated, cluster.ledgerFolder, 1)],
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
        endsAfterSamples wanted: Int? = nil
    ) async throws -> SoakReport.Phase {
        var counts = ledgers.map { SampleCount(ledger: $0.folder) }
        for index in counts.indices { counts[index].update() }
        let before = counts.map(\.samples)
        var lastSaid = 0.0
        let series = try await SoakObserver(subjects: subjects).observe(phase) { elapsed, series in
            for index in counts.indices { counts[index].update() }
            let written = zip(counts, before).map { $0.samples - $1 }
            if elapsed - lastSaid >= (plan.isShort ? 10 : 60) {
                say(Self.progress(phase, elapsed, written, series))
                lastSaid = elapsed
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
            series: series
        )
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
                files: WatchedFiles(folders: [folder])
            ),
        ]
    }

    private func only(_ processes: [Int32], _ what: String, log: String) throws -> Int32 {
        guard processes.count == 1, let process = processes.first else {
            throw SoakError(program: what, processes: processes.count, log: log)
        }
        return process
    }

    private func logs(of lab: HostLab) -> [SoakReport.Log] {
        let paths =
            lab.hosts.map { $0.logPath(of: "agent") } + [lab.controllerLog]
            + ["\(site.stateFolder)/simulated/controller.log"]
        return paths.map { path in
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
