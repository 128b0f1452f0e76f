// SPDX-License-Identifier: Apache-2.0

/// What keeps a VM from a host.
public enum Obstacle: Codable, Sendable, Hashable {
    /// As a snapshot file gives it.
    case stated(String)
    case hostMode(HostMode)
    /// The host offers no channel that `policy.channels` allows.
    case noAllowedChannel
    case otherGroup
    /// An `onlyOn` rule, or one that gathers VMs, names other hosts.
    case ruleNamesOthers
    /// A `neverOn` rule names the host.
    case ruleForbids
    case hypervisorType(String, wanted: String)
    case architecture(String)
    case olderHypervisor
    case cpuModel(String, wanted: String)
    case storageUnreachable(String)
    case networkUnreachable(String)
    /// The VM left the host lately.
    case leftLately(secondsAgo: Int64, seconds: Int64)
    /// The VM's move to the host failed lately.
    case failedLately(secondsAgo: Int64, seconds: Int64)
    case hasCopy(VMState)
    /// No channel between the two hosts is allowed, common to both and open.
    case pathClosed
    /// `isMost`: no host that is meant has more free.
    case memory(freeBytes: UInt64, neededBytes: UInt64, isMost: Bool)
    case vcpuRatio
    /// The same with the figures of one host.
    case vcpus(Int, cpus: Int)
    /// The rule's name.
    case apart(rule: String)
    /// The share of CPU that the host would have at most; `isLeast`: all that are meant would have that or more.
    case cpuOverload(share: Double, isLeast: Bool)
    case memoryOverload(share: Double, isLeast: Bool)
    /// The strategy gives only to light hosts, and this one has more than these shares.
    case notLight(cpu: Double, memory: Double)
    /// The move would gain less than it costs.
    case noGain
    /// At aggressiveness 1 a gain is no reason.
    case onlyNecessaryMoves
    case strategySeesNoReason(Strategy)

    /// Stable, for programs.
    public var code: String {
        switch self {
        case .stated: "stated"
        case .hostMode(let mode): "host-\(mode.rawValue)"
        case .noAllowedChannel: "no-allowed-channel"
        case .otherGroup: "other-group"
        case .ruleNamesOthers: "rule-names-others"
        case .ruleForbids: "rule-forbids"
        case .hypervisorType: "hypervisor-type"
        case .architecture: "architecture"
        case .olderHypervisor: "older-hypervisor"
        case .cpuModel: "cpu-model"
        case .storageUnreachable: "storage-unreachable"
        case .networkUnreachable: "network-unreachable"
        case .leftLately: "left-lately"
        case .failedLately: "failed-lately"
        case .hasCopy: "has-copy"
        case .pathClosed: "path-closed"
        case .memory: "memory"
        case .vcpuRatio, .vcpus: "vcpu-ratio"
        case .apart: "apart"
        case .cpuOverload: "cpu-overload"
        case .memoryOverload: "memory-overload"
        case .notLight: "not-light"
        case .noGain: "no-gain"
        case .onlyNecessaryMoves: "only-necessary-moves"
        case .strategySeesNoReason: "strategy-sees-no-reason"
        }
    }
}

/// The same obstacle on some hosts.
public struct HostsObstacle: Codable, Sendable, Hashable {
    /// How many hosts are meant.
    public var count: Int
    /// Their names, in order; empty where they are more than `mostNamed`.
    public var names: [HostName]
    public var obstacle: Obstacle

    /// More hosts are counted, not named: there may be thousands.
    public static let mostNamed = 3

    public init(_ hosts: [HostName], _ obstacle: Obstacle) {
        count = hosts.count
        names = hosts.count <= Self.mostNamed ? hosts.sorted() : []
        self.obstacle = obstacle
    }
}
