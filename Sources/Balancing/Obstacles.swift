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
        var hostsByReason: [String: [HostName]] = [:]
        for host in space.own.indices where host != here {
            let reason = placement.obstacle(unit, on: host) ?? Self.worse(unit, on: host, placement, objective)
            hostsByReason[reason, default: []].append(space.model.hosts[host].name)
        }
        guard !hostsByReason.isEmpty else {
            words = "there is no other host"
            return
        }
        words = hostsByReason.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
            .map { reason, hosts in
                hosts.count <= 3
                    ? "\(hosts.sorted().map(\.rawValue).joined(separator: ", ")): \(reason)"
                    : "\(hosts.count) hosts: \(reason)"
            }
            .joined(separator: "; ")
    }

    /// Why a host that could take it is no gain.
    private static func worse(
        _ unit: Int,
        on host: Int,
        _ placement: Placement,
        _ objective: Objective
    ) -> String {
        let space = placement.space
        let after = (placement.used[host] + space.units[unit].demand) * space.inverse[host]
        if after[Lane.peak] > objective.upper[Lane.peak] { return "its CPU would be overloaded in turn" }
        if after[Lane.memory] > objective.upper[Lane.memory] { return "its memory would be overloaded in turn" }
        return "the move would gain less than it costs"
    }
}
