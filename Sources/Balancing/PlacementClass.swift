// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Everything that decides which hosts may ever take a VM; the same for many VMs.
struct PlacementClass: Hashable, Sendable {
    var storages: Set<String>
    var networks: Set<String>
    var group: String?
    /// That of the host it runs on; `nil`: not known.
    var home: Hypervisor?
    /// Numbers of hosts, from rules.
    var only: Set<Int>?
    var never: Set<Int>

    struct Hypervisor: Hashable, Sendable {
        var type: String
        var architecture: String
        var version: UInt64
        var cpuModel: String?

        init(_ facts: HypervisorFacts) {
            type = facts.type
            architecture = facts.architecture
            version = facts.version
            cpuModel = facts.cpuModel
        }
    }

    /// Why a host cannot take VMs of this class; `nil` when it can.
    func obstacle(on host: Host, number: Int) -> String? {
        switch host.mode {
        case .active: break
        case .maintenance: return "it is in maintenance"
        case .settling: return "a move that changes it has not settled yet"
        case .stale: return "it has no fresh figures"
        case .distrusted: return "what it claims of itself is not believed"
        case .failed: return "it has failed"
        }
        if let reason = host.isClosedBecause { return reason }
        if host.group != group { return "it is in another group" }
        if let only, !only.contains(number) { return "a rule keeps the VM on other hosts" }
        if never.contains(number) { return "a rule keeps the VM away from it" }
        if let home, let its = host.hypervisor, let obstacle = home.obstacle(on: its) { return obstacle }
        if let has = host.storages, let missing = storages.subtracting(has).min() {
            return "storage \(missing) is not reachable from it"
        }
        if let has = host.networks, let missing = networks.subtracting(has).min() {
            return "network \(missing) is not reachable from it"
        }
        return nil
    }
}

extension PlacementClass.Hypervisor {
    /// A VM moves to the same hypervisor of the same or a later version, on the same CPU model.
    func obstacle(on target: HypervisorFacts) -> String? {
        if target.type != type { return "its hypervisor is \(target.type), the VM runs on \(type)" }
        if target.architecture != architecture { return "its architecture is \(target.architecture)" }
        if target.version < version { return "its hypervisor is older than the one the VM runs on" }
        if let cpuModel, let its = target.cpuModel, its != cpuModel {
            return "its CPU model is \(its), the VM runs on \(cpuModel)"
        }
        return nil
    }
}
