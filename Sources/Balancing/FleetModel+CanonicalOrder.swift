// SPDX-License-Identifier: Apache-2.0
import Fleet

extension FleetModel {
    /// The same fleet with its hosts in an order independent of their names, so that plans do not depend on names.
    ///
    /// Hosts are ordered by the smallest VM id on them, empty hosts by their properties.
    var inCanonicalOrder: FleetModel {
        var smallest: [HostName: VMID] = [:]
        for vm in vms { smallest[vm.host] = min(smallest[vm.host] ?? vm.id, vm.id) }
        var ordered = self
        ordered.hosts.sort { left, right in
            switch (smallest[left.name], smallest[right.name]) {
            case (let one?, let two?): one < two
            case (_?, nil): true
            case (nil, _?): false
            case (nil, nil): (left.nature(in: self), left.name) < (right.nature(in: self), right.name)
            }
        }
        return ordered
    }
}

extension Host {
    /// Returns everything about a host except its name.
    fileprivate func nature(in model: FleetModel) -> String {
        let facts = hypervisor.map { "\($0.type) \($0.version) \($0.architecture) \($0.cpuModel ?? "")" } ?? ""
        let rules = model.rules.indices.filter { model.rules[$0].hosts.contains(name) }
        return [
            "\(capacity)", "\(own)", "\(cpus)", mode.rawValue, facts, group ?? "", "\(rules)",
            storages.map { "\($0.sorted())" } ?? "", networks.map { "\($0.sorted())" } ?? "",
        ].joined(separator: "|")
    }
}
