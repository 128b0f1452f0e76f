// SPDX-License-Identifier: Apache-2.0

/// A host as the configuration lists it.
public struct InventoryHost: Codable, Sendable, Equatable {
    public var name: HostName
    /// Its address on the cluster's LAN; IKE and ESP run between these.
    public var address: String
    /// Its inner address, reachable only inside the tunnels; migrations run between these.
    public var innerAddress: String
    /// The libvirt URI under which its peers reach it, for instance `qemu+tls://h2/system`.
    public var libvirtURI: String
    public init(name: HostName, address: String, innerAddress: String, libvirtURI: String) {
        self.name = name
        self.address = address
        self.innerAddress = innerAddress
        self.libvirtURI = libvirtURI
    }
}

/// All hosts of the fleet.
public struct Inventory: Codable, Sendable, Equatable {
    public var hosts: [InventoryHost]
    /// Hosts that were removed from the cluster, with the time; `nil` where this is not known.
    public var removed: [HostName: Instant]?
    public init(hosts: [InventoryHost], removed: [HostName: Instant]? = nil) {
        self.hosts = hosts
        self.removed = removed
    }
    public subscript(name: HostName) -> InventoryHost? { hosts.first { $0.name == name } }
}

extension HostName {
    /// Describes how to add a removed host to the cluster again.
    public var additionHint: String {
        "'evenkeel host add \(self) --address ADDRESS' adds it again, with new keys"
    }
}

extension String {
    /// This address or host name as a URI contains it: an IPv6 address is in brackets.
    public var inURI: String { contains(":") ? "[\(self)]" : self }
}
