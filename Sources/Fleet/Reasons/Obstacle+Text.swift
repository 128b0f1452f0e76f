// SPDX-License-Identifier: Apache-2.0

extension Obstacle: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stated(let text): text
        case .hostMode(let mode): Self.text(of: mode)
        case .noAllowedChannel: "it offers no channel that policy.channels allows"
        case .otherGroup: "it is in another group"
        case .ruleNamesOthers: "a rule keeps the VM on other hosts"
        case .ruleForbids: "a rule keeps the VM away from it"
        case .hypervisorType(let its, let wanted): "its hypervisor is \(its), the VM needs \(wanted)"
        case .architecture(let its): "its architecture is \(its), which the VM cannot use"
        case .olderHypervisor: "its hypervisor is older than the VM's current one"
        case .cpuModel(let its, let wanted): "its CPU model is \(its), the VM needs \(wanted)"
        case .storageUnreachable(let name): "storage \(name) is not reachable from it"
        case .networkUnreachable(let name): "network \(name) is not reachable from it"
        case .leftLately(let ago, let seconds):
            "the VM left it \(ago) s ago and may not return within \(seconds) s"
        case .failedLately(let ago, let seconds):
            "the VM's move to it failed \(ago) s ago and is not retried within \(seconds) s"
        case .refused(let reason, let ago):
            "it refused the VM \(ago) s ago: \(reason.text); it is not asked again for a day, unless the VM's definition or "
                + "the host's hypervisor changes"
        case .hasCopy(let state): "it has a copy of the VM (\(state.rawValue))"
        case .pathClosed:
            "no channel that policy.channels allows and both hosts offer is open on the path to it"
        case .memory(let free, let needed, let isMost):
            "\(isMost ? "at most " : "")\(byteText(free)) of memory free, \(byteText(needed)) needed"
        case .vcpuRatio: "its VCPUs per CPU would exceed the allowed ratio"
        case .vcpus(let count, let cpus): "it would have \(count) VCPUs on \(cpus) CPUs, above the allowed ratio"
        case .apart(let rule): "rule \(rule) keeps the VM apart from a VM on it"
        case .cpuOverload(let share, let isLeast): "its CPU would become overloaded (\(Self.least(share, isLeast)))"
        case .memoryOverload(let share, let isLeast):
            "its memory would become overloaded (\(Self.least(share, isLeast)))"
        case .notLight(let cpu, let memory):
            "it accepts VMs only up to \(percent(cpu)) CPU and \(percent(memory)) memory"
        case .noGain: "the move would gain less than it costs"
        case .onlyNecessaryMoves: "aggressiveness 1 moves VMs only for rules and maintenance"
        case .strategySeesNoReason(let strategy): "the strategy \(strategy.rawValue) has no reason for this move"
        }
    }

    private static func least(_ share: Double, _ isLeast: Bool) -> String {
        "\(isLeast ? "at least " : "")\(percent(share))"
    }

    private static func text(of mode: HostMode) -> String {
        switch mode {
        case .active: "it is active"
        case .maintenance: "it is in maintenance"
        case .settling: "a move that changes it has not settled yet"
        case .stale: "it has no fresh figures"
        case .distrusted: "its claims are contradicted"
        case .blocked: "its agent cannot take orders"
        case .failed: "it has failed"
        }
    }
}

extension HostsObstacle: CustomStringConvertible {
    public var description: String {
        let who = names.isEmpty ? "\(count) hosts" : names.map(\.rawValue).joined(separator: ", ")
        return "\(who): \(obstacle)"
    }
}
