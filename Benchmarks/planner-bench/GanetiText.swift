// SPDX-License-Identifier: Apache-2.0
import Fleet

/// A generated fleet in the text format of htools, as input of hbal.
struct GanetiText {
    let data: String
    let utilisation: String

    init(_ model: FleetModel) {
        var used: [HostName: UInt64] = [:]
        for vm in model.vms { used[vm.host, default: 0] += vm.demand.memoryBytes >> 20 }
        var lines = ["group-01|bench-group|preferred||", ""]
        for host in model.hosts {
            let total = host.capacity.memoryBytes >> 20
            let own = host.own.memoryBytes >> 20
            let free = total - own - used[host.name, default: 0]
            lines.append("\(host.name)|\(total)|\(own)|\(free)|4000000|4000000|\(host.cpus)|N|bench-group|32")
        }
        lines.append("")
        for vm in model.vms {
            lines.append("\(vm.id)|\(vm.demand.memoryBytes >> 20)|0|\(vm.vcpus)|running|Y|\(vm.host)||ext||1")
        }
        let policy = "128,1,1024,1,1,1|128,1,1024,1,1,1;131072,64,1048576,16,8,12|diskless,ext|4.0|1024.0"
        lines += ["", "", "|\(policy)", "group-01|\(policy)", ""]
        data = lines.joined(separator: "\n")
        let capacity = model.hosts[0].capacity
        utilisation =
            model.vms.map { vm in
                let demand = vm.demand
                let shares = [
                    demand.cpuCores / capacity.cpuCores, Double(demand.memoryBytes) / Double(capacity.memoryBytes),
                    demand.diskBytesPerSecond / capacity.diskBytesPerSecond,
                    demand.networkBytesPerSecond / capacity.networkBytesPerSecond,
                ]
                return "\(vm.id) " + shares.map { "\($0)" }.joined(separator: " ")
            }.joined(separator: "\n") + "\n"
    }
}
