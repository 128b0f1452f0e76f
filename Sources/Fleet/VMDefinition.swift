// SPDX-License-Identifier: Apache-2.0

/// The persistent definition of a VM on a host, without secrets.
public struct VMDefinition: Codable, Sendable, Equatable {
    public var id: VMID
    public var name: String
    /// The hypervisor's text of the definition, without passwords.
    public var xml: String
    /// SHA-256 of it without the parts that change by themselves, in hexadecimal; `nil` if it cannot be read.
    public var digest: String?
    public var startsWithHost: Bool
    public init(id: VMID, name: String, xml: String, digest: String?, startsWithHost: Bool) {
        self.id = id
        self.name = name
        self.xml = xml
        self.digest = digest
        self.startsWithHost = startsWithHost
    }
}
