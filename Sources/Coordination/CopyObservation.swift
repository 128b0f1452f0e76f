// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The state of a VM's copy on this host, as its hypervisor reports it.
public enum CopyObservation: Codable, Sendable, Equatable {
    case seen(DomainPresence)
    /// The hypervisor did not answer, for this reason.
    case silent(String)
}

/// An action on this host's own copy of a VM, once it is known where the VM belongs.
public enum CopyAction: String, Codable, Sendable, Equatable {
    /// Remove the leftovers of a move whose last step was not confirmed: a paused copy, or a definition that could
    /// start a second time.
    case discard
    /// Resume a copy that the migration paused, because no other copy exists.
    case resume
    /// Pause the copy here, if it still runs, because the target runs the VM, too; it no longer starts with this host.
    case pause
    /// Remove the definition that an offline move left on its target, if the VM is off here: the source has the VM.
    case withdraw
    /// Start the VM if it is off because this host was down, as libvirt would have: its autostart is off while it moves.
    case start

    public enum Result: Codable, Sendable, Equatable {
        case done
        /// The copy's state has changed since the observation: check again.
        case notSo(String)
        /// The hypervisor refuses it.
        case refused(String)
        /// The hypervisor did not answer.
        case failed(String)
    }
}
