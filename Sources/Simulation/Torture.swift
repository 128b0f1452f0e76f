// SPDX-License-Identifier: Apache-2.0
internal import Balancing
package import Coordination
internal import Fleet

/// Simulates small fleets with random load and many random faults, and checks every invariant in each run.
///
/// A seed determines a run. Policy windows and time limits are shorter than in production: half an hour covers the
/// events of a day. Planning effort and retention are reduced, too.
public struct Torture: Sendable {
    public var level: FaultLevel
    package var mutations: Set<Mutation> = []

    public init(level: FaultLevel = .torture) { self.level = level }

    package init(level: FaultLevel = .torture, mutations: Set<Mutation>) {
        self.level = level
        self.mutations = mutations
    }

    /// The results of a run.
    public struct Outcome: Sendable, Equatable {
        public var faults: Int
        public var orders: Int
        public var begun: Int
        public var migrations: Int
        public var simulatedSeconds: Double
        /// Time between the last fault and the last order, in seconds.
        public var settledAfter: Double
    }

    /// One in this number of seeds uses sealed moves.
    private static let sealedSeeds: UInt64 = 5
    /// One in this number of seeds loses a host, for some time or for good.
    private static let lostHostSeeds = 6
    /// In one of this number of seeds, an operator moves VMs that are off.
    private static let offlineSeeds: UInt64 = 16
    /// In one of this number of seeds, some VMs cannot move.
    private static let immovableSeeds: UInt64 = 16
    /// In two of this number of seeds, the operator acts late or never.
    private static let operatorSeeds: UInt64 = 8
    private static let faultTime: Duration = .seconds(300)

    /// The policy of all runs: production's, with shorter windows.
    static var policy: Policy {
        Policy(
            overloadSamples: 2,
            overloadWindow: 3,
            shortWindow: .seconds(15),
            longWindow: .seconds(120),
            forecast: .seconds(60),
            staleAfter: .seconds(20),
            cooldown: .seconds(60),
            noReturn: .seconds(240),
            movesPerHost: 2,
            movesInAll: 3,
            orderLifetime: .seconds(30)
        )
    }

    static var limits: AgentCore.Limits {
        AgentCore.Limits(
            consent: .seconds(15),
            migration: .seconds(600),
            doubt: .seconds(60),
            silence: .seconds(30),
            jobLock: .seconds(35)
        )
    }

    /// Returns the world of a seed.
    public func settings(seed: UInt64) -> SimulationSettings {
        var random = SplitMix64(seed: seed)
        let hostCount = 3 + random.below(3)
        let vmCount = hostCount * (2 + random.below(3))
        let isMixed = random.below(4) == 0
        let hosts = (0..<hostCount).map { number in
            SimulationSettings.Host(
                name: HostName("h\(number + 1)"),
                cores: 8,
                memoryBytes: 32 << 30,
                bytesPerSecond: random.below(3) == 0 ? 200_000_000 : 500_000_000,
                compatibility: isMixed && number == hostCount - 1 ? "arm64" : "x86-64"
            )
        }
        let steps = Int(Self.faultTime.inSeconds / 60) + 1
        let vms = (0..<vmCount).map { number in
            let memory = UInt64(1 + random.below(4)) << 30
            var level = 0.1 + Double(random.below(60)) / 100
            return VMLoad(
                name: "vm\(number + 1)",
                vcpus: 2 + random.below(3),
                memoryBytes: memory,
                dirtyBytesPerSecond: Double(1 + random.below(120)) * 1e6,
                workingSetBytes: memory / UInt64(4 + random.below(16)),
                demand: (0..<steps).map { _ in
                    if random.below(5) == 0 { level = Double(random.below(100)) / 100 }
                    return Float(level)
                }
            )
        }
        // Most VMs start on few hosts.
        let placement = (0..<vmCount).map { _ in min(random.below(hostCount), random.below(hostCount)) }
        var settings = SimulationSettings(
            policy: Self.policy,
            hosts: hosts,
            workload: Workload(step: .seconds(60), vms: vms),
            placement: placement,
            duration: Self.faultTime,
            seed: seed
        )
        settings.limits = Self.limits
        if seed % Self.sealedSeeds == 0 { settings.policy.channels = [.sealed] }
        // Not drawn: the random numbers of the other seeds stay the same.
        if seed % Self.immovableSeeds == 13 { settings.immovableVMs = Set(stride(from: 0, to: vmCount, by: 3)) }
        settings.improvement = 2000
        // Longer than any outage: an order that is dropped from the ledger before its source is back would never end.
        settings.physics.retention = .seconds(420)
        settings.physics.migrationLimit = Self.limits.migration
        settings.mutations = mutations
        settings.add(level)
        addLostHost(to: &settings)
        if seed % Self.offlineSeeds == 7 { Self.addOfflineMoves(to: &settings) }
        restrictOperator(of: &settings)
        return settings
    }

    /// Turns off one in four VMs, and lets an operator move each of them twice.
    ///
    /// A VM that is off on a lost host cannot be told from one that was lost, so such runs are left as they are.
    static func addOfflineMoves(to settings: inout SimulationSettings) {
        let loses = settings.faults.contains { if case .hostLost = $0.fault { true } else { false } }
        guard !settings.faults.isEmpty, !loses else { return }
        settings.offVMs = Set(stride(from: 0, to: settings.placement.count, by: 4))
        settings.offlineOrders = settings.offVMs.sorted().enumerated().flatMap { number, vm in
            (1...2).map { turn in
                SimulationSettings.OfflineOrder(
                    at: .seconds(Int64(30 + 100 * (turn - 1) + 20 * number)),
                    vm: vm,
                    target: (settings.placement[vm] + turn) % settings.hosts.count
                )
            }
        }
    }

    /// Adds the loss of a host, with random numbers of its own, to leave the other faults as they are.
    private func addLostHost(to settings: inout SimulationSettings) {
        var random = SplitMix64(seed: settings.seed ^ 0x105e)
        guard !settings.faults.isEmpty, random.below(Self.lostHostSeeds) == 0 else { return }
        let at = Duration.milliseconds(Int64(random.below(Int(Self.faultTime.wholeMilliseconds / 2))))
        let phases = MigrationPhase.allCases
        let (host, phase) = (random.below(settings.hosts.count), phases[random.below(phases.count)])
        let fault: Fault =
            switch random.below(6) {
            case 0, 1, 2: .hostLost(host: host, phase: phase)
            case 3: .targetLost(host: host, phase: phase)
            case 4: .hostGone(host: host, phase: phase, isTarget: false)
            default: .hostGone(host: host, phase: phase, isTarget: true)
            }
        // Until the end of the faults, which is sooner than the ledger forgets the order.
        settings.faults.append(ScheduledFault(at: at, lasts: Self.faultTime - at, fault: fault))
    }

    /// Lets the operator of some seeds act late, and of others never: these have only faults that the agents resolve alone.
    private func restrictOperator(of settings: inout SimulationSettings) {
        switch settings.seed % Self.operatorSeeds {
        // After a sealed move an operator may have to decide.
        case 3 where settings.policy.channels != [.sealed]:
            settings.operatorActs = false
            settings.faults.removeAll { !$0.fault.needsNoOperator }
        case 6: settings.operatorDelay = .seconds(300)
        default: break
        }
    }

    /// Runs a seed, with all of its faults or only some; throws the violation unchanged.
    public func run(
        seed: UInt64,
        only needed: [Int]? = nil,
        log: ((String) -> Void)? = nil
    ) throws(Violation) -> Outcome {
        var settings = settings(seed: seed)
        if let needed { settings = settings.with(onlyFaults: needed) }
        let world = World(settings)
        world.log = log
        try world.run()
        return Outcome(
            faults: settings.faults.count,
            orders: world.invariants.orders,
            begun: world.invariants.begunOrders,
            migrations: world.measures.migrations,
            simulatedSeconds: world.simulatedSeconds,
            settledAfter: world.invariants.settledAfter
        )
    }

    /// Runs a seed; throws a violation with the smallest set of faults and the log that led to it.
    public func check(seed: UInt64) throws(BrokenRun) -> Outcome {
        do { return try run(seed: seed) } catch { throw settings(seed: seed).shrunk(error) }
    }
}
