// SPDX-License-Identifier: Apache-2.0
public import Coordination
public import Fleet

/// A world to simulate: hosts, VMs and their load, the policy, and the faults.
///
/// Settings and code determine a run: two runs with the same settings have the same events.
public struct SimulationSettings: Sendable {
    public struct Host: Sendable, Equatable {
        public var name: HostName
        public var cores: Double
        public var memoryBytes: UInt64
        /// Bandwidth of a protected migration that has the link for itself, in bytes per second.
        public var bytesPerSecond: Double
        /// VMs move only between hosts of one compatibility class.
        public var compatibility: String
        public init(
            name: HostName,
            cores: Double,
            memoryBytes: UInt64,
            bytesPerSecond: Double = 500_000_000,
            compatibility: String = "x86-64"
        ) {
            self.name = name
            self.cores = cores
            self.memoryBytes = memoryBytes
            self.bytesPerSecond = bytesPerSecond
            self.compatibility = compatibility
        }
    }

    /// An operator orders a move of a VM that is off, at this time after the beginning.
    package struct OfflineOrder: Sendable, Equatable {
        package var at: Duration
        package var vm: Int
        /// The number of the target.
        package var target: Int
        package init(at: Duration, vm: Int, target: Int) {
            self.at = at
            self.vm = vm
            self.target = target
        }
    }

    /// The cost of migrations and the delays of the ledger.
    public struct Physics: Sendable, Equatable {
        /// Cores that a protected migration uses at each end while memory is sent.
        public var migrationCores = 1.0
        /// The target downtime: memory is sent repeatedly until the rest takes no longer.
        public var maxDowntime: Duration = .milliseconds(300)
        public var migrationLimit: Duration = .seconds(3600)
        /// A migration without progress for this long is aborted.
        public var stallLimit: Duration = .seconds(60)
        /// Minimum and maximum time between writing and reading a record.
        public var ledgerDelay: ClosedRange<Int64> = 50...1500
        /// Records older than this are no longer in the ledger.
        public var retention: Duration = .seconds(7200)
        public var bootTime: Duration = .seconds(60)
        public init() {}
    }

    public var policy: Policy
    public var hosts: [Host]
    public var workload: Workload
    /// The initial host of each VM, by number.
    public var placement: [Int]
    public var duration: Duration
    /// The part of the duration that is measured: the load changes during it, then stays constant; `nil`: all.
    public var measured: Duration?
    public var sampleInterval: Duration
    public var decisionInterval: Duration
    public var seed: UInt64
    public var faults: [ScheduledFault] = []
    /// Numbers of the VMs that cannot move; their hosts' agents state why.
    public var immovableVMs: Set<Int> = []
    /// Numbers of the VMs that are off from the beginning.
    package var offVMs: Set<Int> = []
    /// Offline moves that an operator orders.
    package var offlineOrders: [OfflineOrder] = []
    public var physics = Physics()
    public var limits = AgentCore.Limits()
    /// Whether an operator repairs VMs after an alert.
    package var operatorActs = true
    /// The time between an alert and the operator's repair.
    package var operatorDelay: Duration = .seconds(60)
    /// The planner's effort to improve a plan (`Planner.improvement`); `nil`: as in production.
    public var improvement: Int?
    /// The baseline that decides; `nil`: Evenkeel.
    public var baseline: (any Baseline)?
    /// Deliberate violations of invariants.
    package var mutations: Set<Mutation> = []

    public init(
        policy: Policy,
        hosts: [Host],
        workload: Workload,
        placement: [Int],
        duration: Duration,
        sampleInterval: Duration = .seconds(5),
        decisionInterval: Duration = .seconds(10),
        seed: UInt64
    ) {
        self.policy = policy
        self.hosts = hosts
        self.workload = workload
        self.placement = placement
        self.duration = duration
        self.sampleInterval = sampleInterval
        self.decisionInterval = decisionInterval
        self.seed = seed
    }

    /// The time after which neither faults nor load change: from then on the fleet must settle.
    var settlesAfter: Duration { max(faults.map(\.end).max() ?? .zero, faults.isEmpty ? .zero : measured ?? .zero) }
}
