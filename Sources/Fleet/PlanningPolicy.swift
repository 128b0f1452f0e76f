// SPDX-License-Identifier: Apache-2.0

/// What the fleet's owner wants of plans, beside the thresholds.
public struct PlanningPolicy: Sendable, Equatable {
    public var strategy: Strategy
    /// 1 (only what must be) to 5 (everything that helps), like vSphere's migration threshold.
    public var aggressiveness: Int
    /// No host's VMs and own use may take more than this share of its memory together.
    ///
    /// Above 1: overcommitted.
    public var memoryLimit: Double
    /// VCPUs per physical CPU that a host may be given; `nil`: any number.
    public var vcpusPerCPU: Double?
    /// So many hosts may fail and their VMs still find room.
    public var reserveHosts: Int
    /// Bandwidth of a migration between two hosts under its escort, in bytes per second, where none was measured.
    public var bandwidth: Double
    /// How long a balance reached is expected to last: what a move gains, it gains over this time.
    public var horizon: Duration
    /// At most so many moves in one plan; `nil`: any number.
    public var maxMoves: Int?
    /// Weights of the balance.
    public var weights: BalanceWeights

    public init(
        strategy: Strategy = .balance,
        aggressiveness: Int = 3,
        memoryLimit: Double = 1,
        vcpusPerCPU: Double? = nil,
        reserveHosts: Int = 0,
        bandwidth: Double = 125_000_000,
        horizon: Duration = .seconds(3600),
        maxMoves: Int? = nil,
        weights: BalanceWeights = BalanceWeights()
    ) {
        self.strategy = strategy
        self.aggressiveness = aggressiveness
        self.memoryLimit = memoryLimit
        self.vcpusPerCPU = vcpusPerCPU
        self.reserveHosts = reserveHosts
        self.bandwidth = bandwidth
        self.horizon = horizon
        self.maxMoves = maxMoves
        self.weights = weights
    }
}

/// How a plan is found.
public enum Strategy: String, Codable, Sendable, CaseIterable {
    /// Contention first, then the balance of all resources, against what the moves cost.
    case balance
    /// The paper's rule: from each overloaded host to the lightest.
    case threshold
    /// Sender-initiated: each overloaded host looks for a target.
    case push
    /// Receiver-initiated: each light host looks for VMs of overloaded ones.
    case pull
    /// Push and pull in turns.
    case pushPull = "push-pull"
    /// On as few hosts as possible, so that others can be powered off.
    case consolidate
}

/// How much the spread of each resource over the hosts counts.
///
/// The balance is the sum of weight × standard deviation over the hosts of used / capacity. Memory counts twice: it is
/// what cannot be shared in time. VCPUs count per physical CPU: they are what VMs may ask for later. Ganeti's hbal
/// (man hbal, "CLUSTER SCORE") gives the same resources the same weights.
public struct BalanceWeights: Sendable, Equatable {
    public var cpu: Double
    public var memory: Double
    public var network: Double
    public var disk: Double
    public var vcpus: Double
    public init(cpu: Double = 1, memory: Double = 2, network: Double = 1, disk: Double = 1, vcpus: Double = 1) {
        self.cpu = cpu
        self.memory = memory
        self.network = network
        self.disk = disk
        self.vcpus = vcpus
    }
}
