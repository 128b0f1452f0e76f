// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// Determines the outcome of a migration that did not succeed; reports only observed facts.
///
/// It looks only at this host. libvirt resumes the VM here if the reply to its last query is lost, although the target
/// may run it, too: the target's agent is asked for that.
extension LiveMigration {
    /// Returns the error of a call that failed, after checking where the VM runs.
    func settle(_ error: any Error, ending: Ending?) -> HypervisorError {
        if let error = error as? HypervisorError {
            // The supervisor prevented the start after a limit had passed: report the limit.
            return error.kind == .cancelled && ending != nil ? withoutReturn(ending) : error
        }
        guard let error = error as? LibvirtError else {
            return HypervisorError(.failed, attempt: attempt, detail: "\(error)")
        }
        guard state.withLock({ $0.isUnderWay }) else { return HypervisorError(error, attempt: attempt) }
        // libvirt keeps the definition here if the target's last answer is lost, whatever the target has.
        if request.isOffline { return failure(.inDoubt, error.detail) }
        let cause = (ending == nil ? "" : "\(reason(ending)): ") + error.detail
        switch whereabouts() {
        case .running:
            return failure(kind(of: error, ending), "\(cause); the VM runs on at the source")
        case .paused:
            let place = "the VM is at the source, but paused for a reason other than the migration"
            return failure(kind(of: error, ending), "\(cause); \(place)")
        case let seen:
            let place = seen.map { "is \($0)" } ?? "is in an unknown state (libvirt does not answer)"
            return failure(.inDoubt, "\(cause); the VM \(place) at the source")
        }
    }

    private func failure(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        HypervisorError(kind, attempt: attempt, detail: detail)
    }

    /// Returns the error of a call that has not returned.
    func withoutReturn(_ ending: Ending?) -> HypervisorError {
        let kind: HypervisorError.Kind = ending == .cancelled ? .cancelled : .timedOut
        guard state.withLock({ $0.isUnderWay }) else {
            let detail = "\(reason(ending)) before it had begun; nothing was touched"
            return HypervisorError(kind, attempt: attempt, detail: detail)
        }
        let detail = "\(reason(ending)), but libvirt has not ended it \(limits.abort) after it was asked to"
        return HypervisorError(.inDoubt, attempt: attempt, detail: detail)
    }

    /// Returns where the VM is at the source once the answer is stable; else the last answer, or `nil` without one.
    ///
    /// libvirt resumes a VM at the source shortly after the call has failed, and a restarted libvirtd first handles the
    /// migrations it finds. An answer therefore counts only if it is given twice, one second apart.
    private func whereabouts() -> DomainPresence? {
        BackgroundCall.lastAnswer(within: limits.settle, calls.presenceAtSource) { now, former in
            now == former && now != .migratingOut && now != .pausedByMigration
        }
    }

    /// Returns the kind of error of a migration that had begun, which excludes `.refused`.
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
        case .tookTooLong: "it took longer than the limit of \(request.timeLimit.text)"
        case .stalled: "nothing was sent for \(request.stallLimit.text)"
        case .tooMuchForTLS:
            "it sent \(Transport.singleTLSLimit) bytes over one TLS connection, which QEMU may not survive; it needs parallel ones"
        case nil: "it ended"
        }
    }
}
