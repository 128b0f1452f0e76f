// SPDX-License-Identifier: Apache-2.0

/// The operator's settings for plans, in addition to the thresholds.
public struct PlanningPolicy: Sendable, Equatable {
    public var strategy: Strategy
    /// 1 (only necessary moves) to 5 (nearly every gain), like vSphere's migration threshold.
    public var aggressiveness: Int
    /// The share of a host's memory that its VMs and its own use may take together.
    ///
    /// Above 1 means overcommitted.
    public var memoryLimit: Double
    /// The most VCPUs per physical CPU on a host; `nil`: no limit.
    public var vcpusPerCPU: Double?
    /// Number of host failures to tolerate: the VMs of failed hosts must still find room.
    public var reserveHosts: Int
    /// Assumed migration bandwidth between two hosts under escort until measured, in bytes per second.
    public var bandwidth: Double
    /// How long a balance is expected to last: the time over which a move must pay.
    public var horizon: Duration
    /// The most moves in one plan; `nil`: no limit.
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
    /// Contention first, then the balance of all resources, weighed against the cost of moves.
    case balance
    /// The paper's rule: from each overloaded host to the lightest.
    case threshold
    /// Sender-initiated: each overloaded host searches for a target.
    case push
    /// Receiver-initiated: each light host searches for VMs of overloaded hosts.
    case pull
    /// Push and pull in turns.
    case pushPull = "push-pull"
    /// On as few hosts as possible, so that others can be powered off.
    case consolidate
}

/// The weights of each resource's spread over the hosts.
///
/// The balance is the sum of weight × standard deviation over the hosts of used / capacity. Memory counts twice because
/// it cannot be shared in time. VCPUs count per physical CPU because VMs may demand them later. Ganeti's hbal (man
/// hbal, "CLUSTER SCORE") gives the same resources the same weights.
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
