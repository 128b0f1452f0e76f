// SPDX-License-Identifier: Apache-2.0

/// Why a VM cannot move to a host.
public enum Obstacle: Codable, Sendable, Hashable {
    /// The text of a snapshot file.
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
    /// The VM left the host a short time ago.
    case leftLately(secondsAgo: Int64, seconds: Int64)
    /// The VM's move to the host failed a short time ago.
    case failedLately(secondsAgo: Int64, seconds: Int64)
    /// The host refused the VM for a reason that lasts, and nothing has changed since.
    indirect case refused(PreflightFailure.Reason, secondsAgo: Int64)
    case hasCopy(VMState)
    /// No channel between the two hosts is allowed, common to both and open.
    case pathClosed
    /// `isMost`: none of several hosts has more memory free.
    case memory(freeBytes: UInt64, neededBytes: UInt64, isMost: Bool)
    case vcpuRatio
    /// The same with the figures of one host.
    case vcpus(Int, cpus: Int)
    /// The name of the rule.
    case apart(rule: String)
    /// The highest share of CPU that the host would have; `isLeast`: several hosts would have at least this share.
    case cpuOverload(share: Double, isLeast: Bool)
    case memoryOverload(share: Double, isLeast: Bool)
    /// The strategy gives only to light hosts; this one exceeds these shares.
    case notLight(cpu: Double, memory: Double)
    /// The move would gain less than it costs.
    case noGain
    /// At aggressiveness 1 a gain does not justify a move.
    case onlyNecessaryMoves
    case strategySeesNoReason(Strategy)

    /// A stable code for programs.
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
        case .refused(let reason, _): reason.code
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

/// The same obstacle on several hosts.
public struct HostsObstacle: Codable, Sendable, Hashable {
    /// The number of these hosts.
    public var count: Int
    /// Their names, in order; empty if there are more than `mostNamed`.
    public var names: [HostName]
    public var obstacle: Obstacle

    /// More hosts are counted but not named, because there may be thousands.
    public static let mostNamed = 3

    public init(_ hosts: [HostName], _ obstacle: Obstacle) {
        count = hosts.count
        names = hosts.count <= Self.mostNamed ? hosts.sorted() : []
        self.obstacle = obstacle
    }
}
