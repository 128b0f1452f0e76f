// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Why a unit stays where it is.
struct Obstacles {
    let reason: RefusalReason

    init(_ unit: Int, in placement: Placement, objective: Objective) {
        let space = placement.space
        if let reason = space.units[unit].staysBecause {
            self.reason = .stays(reason)
            return
        }
        let here = placement.hostOf[unit]
        // Hosts with the same kind of obstacle are grouped, because there may be thousands.
        var hostsByKind: [Kind: [Int]] = [:]
        for host in space.own.indices where host != here {
            hostsByKind[Kind(unit, on: host, placement, objective), default: []].append(host)
        }
        let groups = hostsByKind.sorted { ($1.value.count, $0.value[0]) < ($0.value.count, $1.value[0]) }
        reason =
            groups.isEmpty
            ? .noOtherHost
            : .noTarget(
                groups.map { kind, hosts in
                    HostsObstacle(
                        hosts.map { space.model.hosts[$0].name },
                        Self.obstacle(unit, kind, hosts, placement)
                    )
                }
            )
    }

    /// The kind of an obstacle that keeps a unit from a host.
    private enum Kind: Hashable {
        /// Independent of the placement: the host's mode, its hypervisor, a rule and the like.
        case forbidden(Obstacle)
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

    /// Returns the obstacle of a kind, with the figures of the host that comes closest to taking the unit.
    private static func obstacle(_ unit: Int, _ kind: Kind, _ hosts: [Int], _ placement: Placement) -> Obstacle {
        let space = placement.space
        let one = space.units[unit]
        func largest(_ value: (Int) -> Double) -> Double { hosts.map(value).max() ?? 0 }
        func least(_ lane: Int) -> Double {
            -largest { -((placement.used[$0] + one.demand) * space.inverse[$0])[lane] }
        }
        switch kind {
        case .forbidden(let obstacle): return obstacle
        case .memoryLimit:
            let free = largest { space.limit[$0][Lane.memory] - placement.used[$0][Lane.memory] }
            return .memory(
                freeBytes: UInt64(max(0, free)),
                neededBytes: UInt64(one.memoryBytes),
                isMost: hosts.count > 1
            )
        case .vcpuLimit: return .vcpuRatio
        case .apart(let rule): return .apart(rule: space.model.rules[rule].name)
        case .cpuContention: return .cpuOverload(share: least(Lane.peak), isLeast: hosts.count > 1)
        case .memoryContention: return .memoryOverload(share: least(Lane.memory), isLeast: hosts.count > 1)
        case .tooHeavy: return .notLight(cpu: space.policy.cpu.lower, memory: space.policy.memory.lower)
        case .noGain where space.planning.strategy != .balance:
            return .strategySeesNoReason(space.planning.strategy)
        case .noGain: return space.planning.aggressiveness == 1 ? .onlyNecessaryMoves : .noGain
        }
    }
}

extension Strategy {
    /// Strategies in which only light hosts take VMs.
    static let onlyLight: [Strategy] = [.threshold, .pull]
}

extension Policy {
    /// Returns whether a host with these shares is light.
    func isLight(cpu: Double, memory: Double) -> Bool { cpu <= self.cpu.lower && memory <= self.memory.lower }
}
