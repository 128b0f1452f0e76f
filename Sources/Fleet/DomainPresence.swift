// SPDX-License-Identifier: Apache-2.0

/// The state of a VM on one host.
public enum DomainPresence: Codable, Sendable, Equatable {
    /// The hypervisor does not know it.
    ///
    /// For a persistent VM this proves that it has not run there either: an arriving VM's definition stays after
    /// shutdown. For a transient VM it proves nothing.
    case absent
    /// Known, but without an active domain: a definition, or the remains of a crash. It may have run there.
    case inactive
    case running
    /// An outgoing migration is under way; the VM still belongs to this host.
    case migratingOut
    /// Paused by a migration: an incoming copy, or an outgoing one whose end is not known.
    case pausedByMigration
    /// Paused for another reason, for instance by its owner.
    case paused
}
