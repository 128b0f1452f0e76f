// SPDX-License-Identifier: Apache-2.0

/// An ordered pair of hosts, from source to target.
public struct Path: Codable, Sendable, Hashable {
    public var source: HostName
    public var target: HostName
    public init(source: HostName, target: HostName) {
        self.source = source
        self.target = target
    }
}

/// A VM on its way between two hosts.
public struct Move: Sendable, Equatable {
    public var vm: VMID
    public var source: HostName
    public var target: HostName
    public var path: Path { Path(source: source, target: target) }
    public init(vm: VMID, source: HostName, target: HostName) {
        self.vm = vm
        self.source = source
        self.target = target
    }
}
