// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A VM that a host defines and that does not run there: no plan moves it.
public struct InactiveVM: Encodable, Sendable, Equatable {
    public var id: VMID
    public var name: String
    public var state: VMState
    /// The host on which it is active; `nil`: none.
    public var activeOn: HostName?
    public init(id: VMID, name: String, state: VMState, activeOn: HostName? = nil) {
        self.id = id
        self.name = name
        self.state = state
        self.activeOn = activeOn
    }
}

extension FleetSnapshot {
    /// Returns the VMs that are off on the host in its newest sample, by name.
    public func inactiveVMs(on host: HostName) -> [InactiveVM] {
        let its = (hosts.first { $0.name == host }?.latest?.vms ?? []).filter { !$0.state.isActive }
        let ids = Set(its.map(\.id))
        var active: [VMID: HostName] = [:]
        for other in hosts where other.name != host && !ids.isEmpty {
            for vm in other.latest?.vms ?? [] where vm.state.isActive && ids.contains(vm.id) {
                active[vm.id] = active[vm.id] ?? other.name
            }
        }
        return its.map { InactiveVM(id: $0.id, name: $0.name, state: $0.state, activeOn: active[$0.id]) }
            .sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    }
}

extension InactiveVM: CustomStringConvertible {
    public var description: String {
        let remark = activeOn.map { "active on \($0)" } ?? (state == .shutOff ? nil : state.rawValue)
        return name + (remark.map { " (\($0))" } ?? "")
    }
}
