// SPDX-License-Identifier: Apache-2.0

extension Obstacle: CustomStringConvertible {
    public var description: String {
        switch self {
        case .stated(let text): text
        case .hostMode(let mode): Self.text(of: mode)
        case .noAllowedChannel: "it has no channel that policy.channels allows"
        case .otherGroup: "it is in another group"
        case .ruleNamesOthers: "a rule keeps the VM on other hosts"
        case .ruleForbids: "a rule keeps the VM away from it"
        case .hypervisorType(let its, let wanted): "its hypervisor is \(its), the VM runs on \(wanted)"
        case .architecture(let its): "its architecture is \(its)"
        case .olderHypervisor: "its hypervisor is older than the one the VM runs on"
        case .cpuModel(let its, let wanted): "its CPU model is \(its), the VM runs on \(wanted)"
        case .storageUnreachable(let name): "storage \(name) is not reachable from it"
        case .networkUnreachable(let name): "network \(name) is not reachable from it"
        case .leftLately(let ago, let seconds):
            "the VM left it \(ago) s ago and does not return within \(seconds) s"
        case .failedLately(let ago, let seconds):
            "the VM's move there failed \(ago) s ago and is not tried again within \(seconds) s"
        case .hasCopy(let state): "it has a copy of the VM (\(state.rawValue))"
        case .pathClosed:
            "the path is closed: no channel that policy.channels allows and both hosts have is open between them"
        case .memory(let free, let needed, let isMost):
            "\(bytesInWords(free)) of memory free\(isMost ? " at most" : ""), \(bytesInWords(needed)) needed"
        case .vcpuRatio: "the VCPUs there would be over the ratio allowed"
        case .vcpus(let count, let cpus): "\(count) VCPUs would be on \(cpus) CPUs, over the ratio allowed"
        case .apart(let rule): "rule \(rule) keeps it apart from a VM there"
        case .cpuOverload(let share, let isLeast): "its CPU would be overloaded in turn (\(Self.least(share, isLeast)))"
        case .memoryOverload(let share, let isLeast):
            "its memory would be overloaded in turn (\(Self.least(share, isLeast)))"
        case .notLight(let cpu, let memory):
            "it takes VMs only up to \(percent(cpu)) CPU and \(percent(memory)) memory"
        case .noGain: "the move would gain less than it costs"
        case .onlyNecessaryMoves: "aggressiveness 1 moves only for rules and maintenance"
        case .strategySeesNoReason(let strategy): "the strategy \(strategy.rawValue) sees no reason to move it"
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
        case .distrusted: "what it claims of itself is not believed"
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
