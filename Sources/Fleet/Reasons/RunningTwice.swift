// SPDX-License-Identifier: Apache-2.0

/// A VM that was observed running on more than one host: an operator must act at once.
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
        "\(vmName) (\(vm)) runs on \(hosts.map(\.rawValue).joined(separator: " and ")): stop all but one at once"
    }
}
