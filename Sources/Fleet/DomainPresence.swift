// SPDX-License-Identifier: Apache-2.0

/// Where a VM stands on one host.
public enum DomainPresence: Codable, Sendable, Equatable {
    /// The hypervisor does not know it.
    ///
    /// Of a persistent VM this proves that it has not run there either: a VM that arrives brings its definition, which
    /// stays when it is shut down. Of a transient one it proves nothing.
    case absent
    /// Known, but with no active domain: a definition, or what is left of a crash. It may have run there.
    case inactive
    case running
    /// An outgoing migration is under way; the VM is still this host's.
    case migratingOut
    /// Paused by a migration: an incoming copy, or an outgoing one whose end is not known.
    case pausedByMigration
    /// Paused for another reason, for instance by its owner.
    case paused
}
