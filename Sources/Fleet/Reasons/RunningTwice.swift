// SPDX-License-Identifier: Apache-2.0

/// A VM that was observed running on more than one host: an operator must act at once.
public struct RunningTwice: Codable, Sendable, Hashable, CustomStringConvertible {
    public var vm: VMID
    public var vmName: String
    public var hosts: [HostName]
    /// The host that has it according to the records; `nil`: they do not decide, or an earlier version wrote this.
    public var holder: HostName?

    public init(vm: VMID, vmName: String, hosts: [HostName], holder: HostName? = nil) {
        self.vm = vm
        self.vmName = vmName
        self.hosts = hosts
        self.holder = holder
    }

    public var description: String {
        let all =
            "\(vmName) (\(vm)) runs on \(hosts.map(\.rawValue).joined(separator: " and ")): stop all but one at once"
        guard let holder else { return all }
        let others = hosts.filter { $0 != holder }.map(\.rawValue).joined(separator: " and ")
        return "\(all). The records give it to \(holder). On \(others) it was started by hand, or the claim is false: "
            + "check with 'virsh list' there"
    }
}
