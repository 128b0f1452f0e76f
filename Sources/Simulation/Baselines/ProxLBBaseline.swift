// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// ProxLB, a load balancer for Proxmox VE: moves guests from the fullest node to the emptiest until both are similar.
///
/// From gyptazy/ProxLB, proxlb/models/calculations.py (get_balanciness, relocate_guests, get_most_free_node,
/// validate_node_resources, commit 9966fbb1), and the table of options in its README:
///
/// - It acts while the fullest node is more than `balanciness` (10) points above the emptiest.
/// - Guests are tried in order of the memory that they use, smaller ones first (`balance_larger_guests_first` is off by
///   default). A guest is skipped if its node is not the fullest at that time, or if its memory does not fit.
/// - The guest moves to the node with the smallest share in use.
///
/// The original's default method is memory, which ignores CPU. To compare it by CPU, it runs with method cpu, mode
/// used. Its tests require that no node ends above the initially fullest one; a guest that would cause this is skipped.
public struct ProxLBBaseline: Baseline {
    public enum Method: Sendable { case cpu, memory }

    public let name = "proxlb"
    public let summary = "fullest node to emptiest until 10 points apart, smaller guests first (ProxLB, method cpu)"
    public let usualInterval: Duration? = .seconds(12 * 3600)
    private let method: Method
    private let balanciness: Double

    public init(method: Method = .cpu, balanciness: Double = 0.10) {
        self.method = method
        self.balanciness = balanciness
    }

    public func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        let active = fleet.activeHosts
        var plan = BaselinePlan(fleet)
        guard var ends = ends(of: active, in: fleet) else { return [] }
        let highestAtStart = share(ends.fullest, in: fleet)
        for vm in guests(of: fleet) {
            guard share(ends.fullest, in: plan.fleet) - share(ends.emptiest, in: plan.fleet) > balanciness else {
                break
            }
            guard plan.fleet.vms[vm].host == ends.fullest, plan.mayMove(vm), plan.fleet.takes(vm, ends.emptiest),
                share(ends.emptiest, in: plan.fleet) + weight(of: vm, on: ends.emptiest, in: fleet) <= highestAtStart
            else { continue }
            plan.move(vm, to: ends.emptiest)
            guard let now = self.ends(of: active, in: plan.fleet) else { break }
            ends = now
        }
        return plan.moves
    }

    private func guests(of fleet: BaselineFleet) -> [Int] {
        fleet.vms.indices.sorted { left, right in
            (fleet.vms[left].memoryBytes, left) < (fleet.vms[right].memoryBytes, right)
        }
    }

    private func share(_ host: Int, in fleet: BaselineFleet) -> Double {
        method == .cpu ? fleet.cpuShare(of: host) : fleet.memoryShare(of: host)
    }

    private func weight(of vm: Int, on host: Int, in fleet: BaselineFleet) -> Double {
        method == .cpu
            ? fleet.vms[vm].cores / fleet.hosts[host].cores
            : Double(fleet.vms[vm].memoryBytes) / Double(fleet.hosts[host].memoryBytes)
    }

    private func ends(of active: [Int], in fleet: BaselineFleet) -> (fullest: Int, emptiest: Int)? {
        guard var fullest = active.first, var emptiest = active.first else { return nil }
        for host in active.dropFirst() {
            if share(host, in: fleet) > share(fullest, in: fleet) { fullest = host }
            if share(host, in: fleet) < share(emptiest, in: fleet) { emptiest = host }
        }
        return (fullest, emptiest)
    }
}
