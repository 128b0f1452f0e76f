// SPDX-License-Identifier: Apache-2.0

/// A question to all hosts about the state of a VM at their hypervisors.
///
/// The source of an order asks it if it does not know where the order's VM is. The order's target answers in any case,
/// other hosts only if they know the VM.
public struct PresenceQuestion: Codable, Sendable, Equatable {
    public var vm: VMID
    public var target: HostName
    /// The VM's state at the source.
    public var here: DomainPresence
    /// Set after a move: only the target answers, once the VM's definition is durable there; `nil` from earlier versions.
    public var wantsDurable: Bool?
    public init(vm: VMID, target: HostName, here: DomainPresence, wantsDurable: Bool? = nil) {
        self.vm = vm
        self.target = target
        self.here = here
        self.wantsDurable = wantsDurable
    }
}
