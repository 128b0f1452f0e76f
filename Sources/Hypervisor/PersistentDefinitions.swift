// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The definitions of all persistent VMs of a host.
public struct PersistentDefinitions: Sendable, Equatable {
    /// The definitions that were read.
    public var definitions: [VMDefinition]
    /// The other VMs: each is defined, but the hypervisor did not return its definition.
    public var unreadable: [Unreadable]
    public init(_ definitions: [VMDefinition], unreadable: [Unreadable] = []) {
        self.definitions = definitions
        self.unreadable = unreadable
    }

    public struct Unreadable: Sendable, Equatable {
        public var id: VMID
        public var name: String
        /// The hypervisor's message.
        public var reason: String
        public init(id: VMID, name: String, reason: String) {
            self.id = id
            self.name = name
            self.reason = reason
        }
    }
}
