// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// What is known of a migration that did not succeed: only what was seen is said.
extension MigrationRun {
    /// The error of a call that returned with one, after a look at where the VM runs.
    func settle(_ error: any Error, ending: Ending?) -> HypervisorError {
        if let error = error as? HypervisorError {
            // Told not to begin, after a limit: the reason is the limit.
            return error.kind == .cancelled && ending != nil ? withoutReturn(ending) : error
        }
        guard let error = error as? LibvirtError else {
            return HypervisorError(.failed, attempt: attempt, detail: "\(error)")
        }
        guard state.withLock({ $0.isUnderWay }) else { return HypervisorError(error, attempt: attempt) }
        let cause = (ending == nil ? "" : "\(reason(ending)): ") + error.detail
        switch whereabouts() {
        case .running:
            return stayed(kind(of: error, ending), "\(cause); the VM runs on at the source")
        case .paused:
            let place = "the VM is at the source, paused for another reason than the migration"
            return stayed(kind(of: error, ending), "\(cause); \(place)")
        case let seen:
            let place = seen.map { "is \($0)" } ?? "could not be asked about, libvirt does not answer,"
            return HypervisorError(.inDoubt, attempt: attempt, detail: "\(cause); the VM \(place) at the source")
        }
    }

    /// The error of a call that has not returned.
    func withoutReturn(_ ending: Ending?) -> HypervisorError {
        let kind: HypervisorError.Kind = ending == .cancelled ? .cancelled : .timedOut
        guard state.withLock({ $0.isUnderWay }) else {
            let detail = "\(reason(ending)) before it had begun; nothing was touched"
            return HypervisorError(kind, attempt: attempt, detail: detail)
        }
        let detail = "\(reason(ending)), but libvirt has not ended it \(limits.abort) after it was asked to"
        return HypervisorError(.inDoubt, attempt: attempt, detail: detail)
    }

    /// The error of a migration after which the VM was seen active at the source, after a look at the target.
    ///
    /// When the reply to its last question is lost, libvirt lets the VM go on at the source, and does not know that the
    /// target runs it too.
    private func stayed(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        let there = presenceAtTarget()
        let also: String
        switch there {
        case .absent: return HypervisorError(kind, attempt: attempt, detail: detail)
        case nil: also = "the target could not be asked whether it has the VM too"
        case .running, .migratingOut:
            let words =
                "the target runs it as well: the VM is on BOTH hosts and both write to its disks; stop one of them at once "
                + "(virsh destroy \(request.vm))"
            return HypervisorError(.inDoubt, attempt: attempt, detail: "\(detail), but \(words)")
        case .paused, .pausedByMigration: also = "a paused copy of it is left at the target, which must not be resumed"
        case .inactive: also = "a definition of it is left at the target, which must not be started"
        }
        return HypervisorError(kind, attempt: attempt, detail: "\(detail); \(also)")
    }

    /// What the target says; `nil` if it did not answer within the limit for a peer.
    ///
    /// A copy that waits there is asked about again, since the target may just be ending it or letting it run.
    private func presenceAtTarget() -> DomainPresence? {
        BackgroundCall.lastAnswer(within: limits.peer, calls.presenceAtTarget) { now, _ in now != .pausedByMigration }
    }

    /// Where the VM stands at the source, once the answer is stable; the last answer, or `nil`, if it does not become
    /// so in time.
    ///
    /// libvirt resumes a VM at the source a moment after the call has failed, and a restarted libvirtd first looks
    /// after the migrations it finds: an answer counts when it is given twice, a second apart.
    private func whereabouts() -> DomainPresence? {
        BackgroundCall.lastAnswer(within: limits.settle, calls.presenceAtSource) { now, former in
            now == former && now != .migratingOut && now != .pausedByMigration
        }
    }

    /// The kind of an error of a migration that had begun, of which `.refused` would be untrue.
    private func kind(of error: LibvirtError, _ ending: Ending?) -> HypervisorError.Kind {
        switch ending {
        case .cancelled: .cancelled
        case .tookTooLong, .stalled: .timedOut
        case .tooMuchForTLS: .failed
        case nil: error.kind == .noSuchVM || error.kind == .refused ? .failed : error.kind
        }
    }

    private func reason(_ ending: Ending?) -> String {
        switch ending {
        case .cancelled: "it was cancelled"
        case .tookTooLong: "it took longer than the limit of \(request.timeLimit)"
        case .stalled: "nothing was sent for \(request.stallLimit)"
        case .tooMuchForTLS:
            "it sent \(Self.singleTLSLimit) bytes over one TLS connection, which QEMU may not survive; it needs parallel ones"
        case nil: "it ended"
        }
    }
}
