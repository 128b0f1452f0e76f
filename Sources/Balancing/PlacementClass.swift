// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The constraints that decide which hosts may ever take a VM; many VMs share them.
struct PlacementClass: Hashable, Sendable {
    var storages: Set<String>
    var networks: Set<String>
    var group: String?
    /// The hypervisor of its current host; `nil`: not known.
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

    /// Returns why a host cannot take VMs of this class, or `nil` if it can.
    func obstacle(on host: Host, number: Int) -> Obstacle? {
        if host.mode != .active { return .hostMode(host.mode) }
        if let reason = host.isClosedBecause { return reason }
        if host.group != group { return .otherGroup }
        if let only, !only.contains(number) { return .ruleNamesOthers }
        if never.contains(number) { return .ruleForbids }
        if let home, let its = host.hypervisor, let obstacle = home.obstacle(on: its) { return obstacle }
        if let has = host.storages, let missing = storages.subtracting(has).min() {
            return .storageUnreachable(missing)
        }
        if let has = host.networks, let missing = networks.subtracting(has).min() {
            return .networkUnreachable(missing)
        }
        return nil
    }
}

extension PlacementClass.Hypervisor {
    /// Returns why the target cannot take VMs from this hypervisor, or `nil` if it can.
    ///
    /// Type, architecture and CPU model must match, and its version must not be older.
    func obstacle(on target: HypervisorFacts) -> Obstacle? {
        if target.type != type { return .hypervisorType(target.type, wanted: type) }
        if target.architecture != architecture { return .architecture(target.architecture) }
        if target.version < version { return .olderHypervisor }
        if let cpuModel, let its = target.cpuModel, its != cpuModel { return .cpuModel(its, wanted: cpuModel) }
        return nil
    }
}
