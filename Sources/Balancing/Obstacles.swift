// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Why a unit stays where it is, in words.
struct Obstacles {
    let words: String

    init(_ unit: Int, in placement: Placement, objective: Objective) {
        let space = placement.space
        if let reason = space.units[unit].staysBecause {
            words = reason
            return
        }
        let here = placement.hostOf[unit]
        // Words are made once for a kind: there may be thousands of hosts.
        var hostsByKind: [Kind: [Int]] = [:]
        for host in space.own.indices where host != here {
            hostsByKind[Kind(unit, on: host, placement, objective), default: []].append(host)
        }
        guard !hostsByKind.isEmpty else {
            words = "there is no other host"
            return
        }
        let parts = hostsByKind.map { kind, hosts in
            (count: hosts.count, words: Self.words(unit, kind, hosts, placement))
        }
        words = parts.sorted { ($1.count, $0.words) < ($0.count, $1.words) }.map(\.words).joined(separator: "; ")
    }

    /// What keeps a unit from a host.
    private enum Kind: Hashable {
        /// Never: the host's mode, its hypervisor, a rule, ...; the words are the same for all hosts alike.
        case forbidden(String)
        case memoryLimit
        case vcpuLimit
        case apart(rule: Int)
        case cpuContention
        case memoryContention
        case tooHeavy
        case noGain

        init(_ unit: Int, on host: Int, _ placement: Placement, _ objective: Objective) {
            let space = placement.space
            let one = space.units[unit]
            let after = placement.used[host] + one.demand
            let share = after * space.inverse[host]
            if let reason = placement.prohibition(unit, on: host) {
                self = .forbidden(reason)
            } else if after[Lane.memory] > space.limit[host][Lane.memory] {
                self = .memoryLimit
            } else if after[Lane.vcpus] > space.limit[host][Lane.vcpus] {
                self = .vcpuLimit
            } else if let rule = one.apart.first(where: { (placement.apartCount[$0][host] ?? 0) > 0 }) {
                self = .apart(rule: rule)
            } else if share[Lane.peak] > objective.upper[Lane.peak] {
                self = .cpuContention
            } else if share[Lane.memory] > objective.upper[Lane.memory] {
                self = .memoryContention
            } else if Strategy.onlyLight.contains(space.planning.strategy),
                !space.policy.isLight(
                    cpu: placement.share(of: host)[Lane.cpu],
                    memory: placement.share(of: host)[Lane.memory]
                )
            {
                self = .tooHeavy
            } else {
                self = .noGain
            }
        }
    }

    private static func words(_ unit: Int, _ kind: Kind, _ hosts: [Int], _ placement: Placement) -> String {
        let space = placement.space
        let one = space.units[unit]
        let names = hosts.map { space.model.hosts[$0].name }.sorted().map(\.rawValue)
        let who = names.count <= 3 ? names.joined(separator: ", ") : "\(names.count) hosts"
        let most = names.count > 1 ? " at most" : ""
        func largest(_ value: (Int) -> Double) -> Double { hosts.map(value).max() ?? 0 }
        func least(_ lane: Int) -> String {
            percent(-largest { -((placement.used[$0] + one.demand) * space.inverse[$0])[lane] })
        }
        let atLeast = names.count > 1 ? "at least " : ""
        let reason =
            switch kind {
            case .forbidden(let reason): reason
            case .memoryLimit:
                "\(bytesInWords(UInt64(max(0, largest { space.limit[$0][Lane.memory] - placement.used[$0][Lane.memory] })))) "
                    + "of memory free\(most), \(bytesInWords(UInt64(one.memoryBytes))) needed"
            case .vcpuLimit: "the VCPUs there would be over the ratio allowed"
            case .apart(let rule): "rule \(space.model.rules[rule].name) keeps it apart from a VM there"
            case .cpuContention: "its CPU would be overloaded in turn (\(atLeast)\(least(Lane.peak)))"
            case .memoryContention: "its memory would be overloaded in turn (\(atLeast)\(least(Lane.memory)))"
            case .tooHeavy:
                "it takes VMs only up to \(percent(space.policy.cpu.lower)) CPU and "
                    + "\(percent(space.policy.memory.lower)) memory"
            case .noGain where space.planning.strategy == .balance && space.planning.aggressiveness == 1:
                "aggressiveness 1 moves only for rules and maintenance"
            case .noGain where space.planning.strategy == .balance: "the move would gain less than it costs"
            case .noGain: "the strategy \(space.planning.strategy.rawValue) sees no reason to move it"
            }
        return "\(who): \(reason)"
    }
}

extension Strategy {
    /// Those by which only light hosts take VMs.
    static let onlyLight: [Strategy] = [.threshold, .pull]
}

extension Policy {
    /// Whether a host with these shares is light.
    func isLight(cpu: Double, memory: Double) -> Bool { cpu <= self.cpu.lower && memory <= self.memory.lower }
}
