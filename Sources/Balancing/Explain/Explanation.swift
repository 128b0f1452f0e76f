// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A statement of `Planner.explain` about a VM or a host.
public enum Explanation: Sendable, Equatable {
    case needs(vm: String, on: HostName, cores: Double, peakCores: Double, memoryBytes: UInt64)
    case moves(to: HostName, wave: Int, PlannedMove.Purpose, MoveReason)
    /// `isAfterMoves`: whether the plan moves other VMs first.
    case stays(RefusalReason, isAfterMoves: Bool)
    case rule(String, PlacementRule.Kind, isMet: Bool)
    case maintenance(HostName, vms: Int)
    /// VMs that are off on a host in maintenance.
    case inactive(HostName, [InactiveVM])
    case failed(HostName)
    case judged(Judgement)
    case leaves(vm: String, to: HostName, MoveReason)
    case comes(vm: String, from: HostName, MoveReason)
    /// `vm`: `nil` if the statement is about the host.
    case notRelieved(vm: String?, RefusalReason)
    case nothingGains

    /// A stable code for programs: that of the reason, if there is one.
    public var code: String {
        switch self {
        case .needs: "needs"
        case .moves(_, _, _, let reason), .leaves(_, _, let reason), .comes(_, _, let reason): reason.code
        case .stays(let reason, _), .notRelieved(_, let reason): reason.code
        case .rule(_, _, let isMet): isMet ? "rule-met" : "rule-not-met"
        case .maintenance: "host-maintenance"
        case .inactive: "inactive-vms"
        case .failed: "host-failed"
        case .judged(let judgement): judgement.reason.code
        case .nothingGains: "no-gain"
        }
    }
}
