// SPDX-License-Identifier: Apache-2.0
internal import CLibvirt
internal import Fleet
internal import Hypervisor

/// libvirt's state of one domain, with the reason, which distinguishes a migration's pause from an owner's.
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

    /// Throws `.refused` unless the VM runs and no job is under way on it, so that a migration or save can begin.
    static func checkRunsWithoutJob(_ domain: borrowing DomainHandle, attempt: String) throws {
        let state = try of(domain)
        guard state.isRunning else {
            throw HypervisorError(.refused, attempt: attempt, detail: "the VM is not running but \(state.text)")
        }
        if try JobStatistics.of(domain) != nil {
            let detail = "another job (a migration, save or backup) is under way on the VM"
            throw HypervisorError(.refused, attempt: attempt, detail: detail)
        }
    }

    private func isIn(_ other: virDomainState) -> Bool { state == Int32(other.rawValue) }
    private func isFor(_ other: virDomainPausedReason) -> Bool { reason == Int32(other.rawValue) }

    /// Whether the domain is neither off nor crashed, so that it uses memory here.
    var isActive: Bool { !isIn(VIR_DOMAIN_SHUTOFF) && !isCrashed }

    var isCrashed: Bool { isIn(VIR_DOMAIN_CRASHED) }

    /// Whether the guest executes.
    ///
    /// Xen reports `NOSTATE` for a domain that is ready but has no CPU at this instant.
    var isRunning: Bool { isIn(VIR_DOMAIN_RUNNING) || isIn(VIR_DOMAIN_BLOCKED) || isIn(VIR_DOMAIN_NOSTATE) }

    var isPaused: Bool { isIn(VIR_DOMAIN_PAUSED) }

    /// Whether a migration paused it, not its owner or an error.
    ///
    /// An incoming copy waits with the reason migration or starting up. An outgoing VM waits with the reason migration
    /// if it has handed over, or if the migration's end is unknown. If libvirt 9.2 or newer cannot resume it after a
    /// failed migration, because the target holds the lock of a disk, the reason is an error of the API.
    var isPausedByMigration: Bool {
        guard isPaused else { return false }
        return isPausedByError || isFor(VIR_DOMAIN_PAUSED_MIGRATION) || isFor(VIR_DOMAIN_PAUSED_STARTING_UP)
            || isFor(VIR_DOMAIN_PAUSED_POSTCOPY) || isFor(VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)
    }

    /// VIR_DOMAIN_PAUSED_API_ERROR, which the headers of older versions do not define.
    private var isPausedByError: Bool { isPaused && reason == 14 }

    var vmState: VMState {
        if isRunning { return .running }
        if isPaused { return isPausedByMigration && !isPausedByError ? .migrating : .paused }
        if isIn(VIR_DOMAIN_PMSUSPENDED) { return .suspended }
        if isCrashed { return .crashed }
        // A guest that is shutting down still executes.
        return isIn(VIR_DOMAIN_SHUTDOWN) ? .running : .shutOff
    }

    /// Returns where the VM is, given the migration job that is in progress here, if any.
    func presence(job: JobStatistics?) -> DomainPresence {
        guard isActive else { return .inactive }
        if let job, job.isOutgoing { return .migratingOut }
        if isPausedByMigration { return .pausedByMigration }
        return isPaused || isIn(VIR_DOMAIN_PMSUSPENDED) ? .paused : .running
    }

    /// The state for messages: `paused (libvirt state 3, reason 2)`.
    var text: String { "\(vmState.rawValue) (libvirt state \(state), reason \(reason))" }
}
