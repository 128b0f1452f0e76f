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
        switch whereabouts() {
        case .running:
            return HypervisorError(kind(of: error, ending), attempt: attempt, detail: words(error, ending, "runs on"))
        case .paused:
            let place = "is here, paused for another reason than the migration,"
            return HypervisorError(kind(of: error, ending), attempt: attempt, detail: words(error, ending, place))
        case let seen:
            let place = seen.map { "is \($0) here" } ?? "could not be asked about, libvirt does not answer,"
            return HypervisorError(.inDoubt, attempt: attempt, detail: words(error, ending, place))
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

    /// Where the VM stands, once the answer is stable; the last answer, or `nil`, if it does not become so in time.
    ///
    /// libvirt resumes a VM at the source a moment after the call has failed, and a restarted libvirtd first looks
    /// after the migrations it finds: an answer counts when it is given twice, a second apart.
    private func whereabouts() -> DomainPresence? {
        let deadline = ContinuousClock.now + limits.settle
        var last: DomainPresence?
        while true {
            let now = try? connector.use(attempt) { try $0.presence(of: request.vm) }
            if let now, now == last, now != .migratingOut, now != .pausedByMigration { return now }
            last = now
            guard ContinuousClock.now < deadline else { return last }
            Thread.sleep(forTimeInterval: 1)
        }
    }

    private func kind(of error: LibvirtError, _ ending: Ending?) -> HypervisorError.Kind {
        switch ending {
        case .cancelled: .cancelled
        case .tookTooLong, .stalled: .timedOut
        case nil: error.kind == .noSuchVM ? .failed : error.kind
        }
    }

    private func words(_ error: LibvirtError, _ ending: Ending?, _ place: String) -> String {
        let cause = ending == nil ? "" : "\(reason(ending)): "
        return "\(cause)\(error.detail); the VM \(place) at the source"
    }

    private func reason(_ ending: Ending?) -> String {
        switch ending {
        case .cancelled: "it was cancelled"
        case .tookTooLong: "it took longer than the limit of \(request.timeLimit)"
        case .stalled: "nothing was sent for \(request.stallLimit)"
        case nil: "it ended"
        }
    }
}
