// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

/// libvirt's state of one domain, with the reason that tells a migration's pause from an owner's.
struct DomainState: Equatable {
    var state: Int32
    var reason: Int32

    static func of(_ domain: borrowing DomainHandle) throws(LibvirtError) -> Self {
        var found = Self(state: 0, reason: 0)
        guard virDomainGetState(domain.pointer, &found.state, &found.reason, 0) == 0 else {
            throw .last(in: "virDomainGetState")
        }
        return found
    }

    private func isIn(_ other: virDomainState) -> Bool { state == Int32(other.rawValue) }
    private func isFor(_ other: virDomainPausedReason) -> Bool { reason == Int32(other.rawValue) }

    /// Neither off nor gone: it takes memory here.
    var isActive: Bool { !isIn(VIR_DOMAIN_SHUTOFF) && !isCrashed }

    var isCrashed: Bool { isIn(VIR_DOMAIN_CRASHED) }

    /// It executes.
    ///
    /// Xen gives `NOSTATE` for a domain that is ready but has no CPU at this instant.
    var isRunning: Bool { isIn(VIR_DOMAIN_RUNNING) || isIn(VIR_DOMAIN_BLOCKED) || isIn(VIR_DOMAIN_NOSTATE) }

    var isPaused: Bool { isIn(VIR_DOMAIN_PAUSED) }

    /// Paused by a migration, not by its owner or by an error.
    ///
    /// An incoming copy waits with the reason migration or starting up; an outgoing VM that has handed over, or whose
    /// end is not known, waits with the reason migration.
    var isPausedByMigration: Bool {
        guard isPaused else { return false }
        return isFor(VIR_DOMAIN_PAUSED_MIGRATION) || isFor(VIR_DOMAIN_PAUSED_STARTING_UP)
            || isFor(VIR_DOMAIN_PAUSED_POSTCOPY) || isFor(VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)
    }

    var vmState: VMState {
        if isRunning { return .running }
        if isPaused { return isPausedByMigration ? .migrating : .paused }
        if isIn(VIR_DOMAIN_PMSUSPENDED) { return .suspended }
        if isCrashed { return .crashed }
        // A guest that is shutting down still executes.
        return isIn(VIR_DOMAIN_SHUTDOWN) ? .running : .shutOff
    }

    /// Where the VM stands, given whether a migration of it is under way here.
    func presence(job: JobStatistics?) -> DomainPresence {
        guard isActive else { return .inactive }
        if let job, job.isOutgoing { return .migratingOut }
        if isPausedByMigration { return .pausedByMigration }
        return isPaused || isIn(VIR_DOMAIN_PMSUSPENDED) ? .paused : .running
    }

    /// For messages: `paused (reason 2)`.
    var text: String { "\(vmState.rawValue) (libvirt state \(state), reason \(reason))" }
}
