// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Fleet
import Settings
import Simulation

/// The options that describe a simulated fleet.
struct SimulatedFleetOptions: ParsableArguments {
    @Option(help: "Number of hosts (default: one per ten VMs)")
    var hosts: Int?

    @Option(help: "Number of VMs (default: one per trace, or ten per host)")
    var vms: Int?

    @Option(
        help: ArgumentHelp(
            "Load from traces, one per VM: a folder, archive or file in PlanetLab's format or Bitbrains' CSV",
            valueName: "path"
        )
    )
    var traces: String?

    @Option(
        help: "Synthetic load: \(LoadPattern.allCases.map(\.rawValue).joined(separator: ", ")) (default: mixed)",
        transform: word
    )
    var load: LoadPattern?

    @Option(help: ArgumentHelp("Configuration file with Evenkeel's policy", valueName: "file"))
    var policy: String?

    @Option(help: ArgumentHelp("Set one configuration key; overrides the file (repeatable)", valueName: "key=value"))
    var set: [String] = []

    @Option(help: "Length of the simulation, in hours of virtual time")
    var hours = 24.0

    @Option(
        help: "Mean CPU use of the fleet, which determines the size of the hosts (default: 55%)",
        transform: { try parseShare($0, upTo: 10) }
    )
    var meanCpu = 0.55

    @Option(
        help: "Share of the fleet's memory that the VMs use (default: 65%)",
        transform: { try parseShare($0, upTo: 10) }
    )
    var meanMemory = 0.65

    @Option(
        help: "Interval between samples (default: 1min; 5min with more than \(Self.manyHosts) hosts)",
        transform: { try parseDuration($0, upTo: .seconds(86_400)) }
    )
    var sampleInterval: Duration?

    @Option(
        help:
            "Interval between decisions (default: half of --sample-interval; equal to it with more than \(Self.manyHosts) hosts)",
        transform: { try parseDuration($0, upTo: .seconds(86_400)) }
    )
    var decisionInterval: Duration?

    /// Number of hosts above which one-minute samples take too long to compute.
    private static let manyHosts = 250

    @Option(
        help: ArgumentHelp(
            "Number of candidates the planner may try to improve a plan (default: as in production)",
            valueName: "number"
        )
    )
    var plannerEffort: Int?

    /// Whether no option was set.
    var isUntouched: Bool {
        [hosts, vms, plannerEffort].allSatisfy { $0 == nil } && traces == nil && load == nil && policy == nil
            && set.isEmpty && sampleInterval == nil && decisionInterval == nil && hours == 24 && meanCpu == 0.55
            && meanMemory == 0.65
    }

    func validate() throws {
        if let plannerEffort, plannerEffort < 0 { throw ValidationError("--planner-effort must be at least 0.") }
        if let hosts, !(1...100_000).contains(hosts) { throw ValidationError("--hosts must be 1 to 100000.") }
        if let vms, !(1...1_000_000).contains(vms) { throw ValidationError("--vms must be 1 to 1000000.") }
        guard hours > 0, hours <= 24 * 366 else {
            throw ValidationError("--hours must be above 0, and at most a year.")
        }
        guard (0.01...2).contains(meanCpu), meanMemory >= 0.01, meanMemory < 1 else {
            throw ValidationError("--mean-cpu must be 1% to 200%, --mean-memory 1% to below 100%.")
        }
        if traces != nil, load != nil { throw ValidationError("--traces and --load exclude each other.") }
        guard [sampleInterval, decisionInterval].allSatisfy({ $0.map { $0 >= .milliseconds(100) } ?? true }) else {
            throw ValidationError("--sample-interval and --decision-interval must be at least 100ms.")
        }
    }

    /// Returns the world to simulate and the duration to measure.
    func scene(
        seed: UInt64,
        faults: FaultLevel
    ) async throws -> (scene: SimulationOutcome.Scene, settings: SimulationSettings, measured: Duration) {
        let policy = try Settings.ofThisProcess(file: policy, flags: set).policy
        let measured = Duration.milliseconds(Int64(hours * 3_600_000))
        let load = try await workload(seed: seed, measured: measured)
        let hosts = hosts ?? max(2, (load.workload.vms.count + 9) / 10)
        let sampleInterval = sampleInterval ?? .seconds(hosts > Self.manyHosts ? 300 : 60)
        let decisionInterval = decisionInterval ?? (hosts > Self.manyHosts ? sampleInterval : sampleInterval / 2)
        let builder = FleetBuilder(
            hosts: hosts,
            meanCPU: meanCpu,
            meanMemory: meanMemory,
            sampleInterval: sampleInterval,
            decisionInterval: decisionInterval,
            seed: seed
        )
        var settings = builder.settings(for: load.workload, policy: policy, duration: measured)
        settings.improvement = plannerEffort
        settings.add(faults)
        let steps = max(1, Int((measured.inSeconds / load.workload.step.inSeconds).rounded(.up)))
        let scene = SimulationOutcome.Scene(
            load: load.name,
            hosts: settings.hosts.count,
            coresPerHost: settings.hosts.first?.cores ?? 0,
            memoryPerHostGiB: Double(settings.hosts.first?.memoryBytes ?? 0) / 0x1p30,
            vms: settings.workload.vms.count,
            hours: hours,
            meanCPU: load.workload.meanCores(over: steps) / settings.hosts.reduce(0) { $0 + $1.cores },
            sampleIntervalSeconds: sampleInterval.inSeconds,
            decisionIntervalSeconds: decisionInterval.inSeconds,
            seed: seed,
            faultLevel: faults.rawValue,
            faults: settings.faults.count
        )
        return (scene, settings, measured)
    }

    private func workload(seed: UInt64, measured: Duration) async throws -> (name: String, workload: Workload) {
        if let traces {
            let workload = Workload(try await TraceFiles.read(traces), seed: seed)
            let name = traces.split(separator: "/").last.map(String.init) ?? traces
            return (name, vms.map { workload.scaled(to: $0, seed: seed) } ?? workload)
        }
        let pattern = load ?? .mixed
        let steps = Int((measured.inSeconds / Trace.step.inSeconds).rounded(.up)) + 1
        let count = vms ?? 10 * (hosts ?? 20)
        return (pattern.rawValue, .generated(pattern, vms: count, steps: steps, seed: seed))
    }
}
