// SPDX-License-Identifier: Apache-2.0

/// A VM that is seen running on more than one host: a person must look at once.
public struct RunningTwice: Codable, Sendable, Hashable, CustomStringConvertible {
    public var vm: VMID
    public var vmName: String
    public var hosts: [HostName]

    public init(vm: VMID, vmName: String, hosts: [HostName]) {
        self.vm = vm
        self.vmName = vmName
        self.hosts = hosts
    }

    public var description: String {
        "\(vmName) (\(vm)) is seen running on \(hosts.map(\.rawValue).joined(separator: " and ")): stop all but one at once"
    }
}
