// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// The libvirt calls that restore one VM; each may block indefinitely.
protocol RestoreCalls: Sendable {
    func presence() throws -> DomainPresence
    func image(at path: String) throws -> SavedImage
    func restorePaused(from path: String) throws
    func define(_ xml: String) throws
    func start() throws
    func setAutostart() throws
    func undo(isDefinedHere: Bool) throws
}

/// The calls through libvirt's C API, on a connection of their own.
struct LibvirtRestoreCalls: RestoreCalls {
    let vm: VMID
    let attempt: String
    let target: Connector

    func presence() throws -> DomainPresence { try target.use(attempt) { try $0.presence(of: vm) } }
    func image(at path: String) throws -> SavedImage { try target.use(attempt) { try $0.image(at: path) } }
    func restorePaused(from path: String) throws { try target.use(attempt) { try $0.restorePaused(from: path) } }
    func define(_ xml: String) throws { try target.use(attempt) { try $0.define(xml) } }
    func start() throws { try target.use(attempt) { try $0.start(restored: vm) } }
    func setAutostart() throws { try target.use(attempt) { try $0.setAutostart(of: vm, to: true) } }
    func undo(isDefinedHere: Bool) throws {
        try target.use(attempt) { try $0.undoRestore(of: vm, isDefinedHere: isDefinedHere) }
    }
}

/// Restores one VM: paused, then with its definition, and running only as the last step.
///
/// A failure or hang before that step can therefore be undone completely: the VM has not run, and the image is
/// unchanged.
struct RestoreRun: Sendable {
    let saved: SavedVM
    let restoration: Restoration
    let attempt: String
    let calls: any RestoreCalls
    let limits: LibvirtHypervisor.Limits
    let slots: CallSlots
    let beforeStart: @Sendable () throws -> Void
    let changes = RestoreChanges()

    /// Blocks until the outcome is known or the limits have passed.
    func carryOut(within limit: Duration) -> Result<Instant, HypervisorError> {
        do throws(HypervisorError) {
            try check()
            try restore(within: limit)
            if restoration == .arrival, let definition = saved.definition {
                do throws(HypervisorError) {
                    try step(change(leaving: .inactive) { [calls] in try calls.define(definition) })
                } catch { throw takenBack(error.kind, "libvirt did not accept its definition: \(error.detail)") }
            }
            return .success(try start())
        } catch {
            return .failure(error)
        }
    }

    private func check() throws(HypervisorError) {
        let here = try step { [calls] in try calls.presence() }
        guard here == (restoration == .back ? .inactive : .absent) else {
            throw failure(.refused, "the VM is \(here) here; nothing was touched")
        }
        let file = ImageFile(path: saved.path)
        guard file.closedSize() == saved.imageBytes else {
            throw failure(.refused, "\(saved.path) is not a file of \(saved.imageBytes) bytes; nothing was touched")
        }
        do throws(HypervisorError) {
            let image = try step { [calls] in try calls.image(at: saved.path) }
            guard image.vm == saved.vm else { throw failure(.refused, "\(saved.path) holds another VM, \(image.vm)") }
            // Its copy is transient until it is defined, also if it must be removed before that.
            guard !image.losesTPMState || restoration == .back else {
                let detail =
                    "libvirt would delete the state of its TPM if the restore failed, because its TPM has no "
                    + "persistent_state='yes'; nothing was touched"
                throw failure(.refused, detail)
            }
        } catch {
            // A driver that cannot read an image without restoring it (error 3, no support) checks it in the restore.
            guard error.kind == .refused, error.detail.contains("libvirt error 3,") else { throw error }
        }
    }

    private func restore(within limit: Duration) throws(HypervisorError) {
        let restoring = change(leaving: .pausedByMigration) { [calls] in try calls.restorePaused(from: saved.path) }
        guard let call = OutstandingCall(in: slots, restoring) else {
            changes.ended()
            throw failure(.refused, "\(slots.full); nothing was touched")
        }
        let isDefinedHere = restoration == .back
        // The VM stays paused until `start`: ending it only ends a process.
        let (result, wasEnded) = call.wait(within: limit, patience: limits.abort) { [calls] in
            try calls.undo(isDefinedHere: isDefinedHere)
        }
        switch result {
        case .success? where !wasEnded: return
        case .failure(let error)? where !wasEnded:
            let error = error as? HypervisorError
            throw takenBack(error?.kind ?? .failed, error?.detail ?? "it failed")
        default: throw takenBack(.timedOut, "it took longer than \(limit.text)")
        }
    }

    private func start() throws(HypervisorError) -> Instant {
        do { try beforeStart() } catch { throw takenBack(.failed, "it was not allowed to run: \(error)") }
        do throws(HypervisorError) {
            try step { [calls] in try calls.start() }
        } catch {
            // The VM may run although the answer was lost.
            let seen = BackgroundCall.lastAnswer(within: limits.settle, { [calls] in try calls.presence() }) {
                now,
                former in
                now == former
            }
            switch seen {
            case .running: break
            case .pausedByMigration: throw takenBack(error.kind, "it did not start: \(error.detail)")
            // The VM may have run if its owner or an error paused it.
            default: throw failure(.inDoubt, "\(error.detail); state of the VM: \(seen.map { "\($0)" } ?? "unknown")")
            }
        }
        let runningSince = Instant.now
        ImageFile(path: saved.path).remove()
        // The VM runs, even if autostart could not be set.
        if saved.startsWithHost { _ = try? step { [calls] in try calls.setAutostart() } }
        return runningSince
    }

    /// Undoes the restore and returns its error, which is `.inDoubt` unless nothing of the restore is left.
    private func takenBack(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        // From now on, a change that libvirt has not answered yet undoes itself.
        changes.giveUp()
        let isDefinedHere = restoration == .back
        let clean: DomainPresence = isDefinedHere ? .inactive : .absent
        _ = BackgroundCall().run(within: limits.call) { [calls] in try calls.undo(isDefinedHere: isDefinedHere) }
        let seen = BackgroundCall.lastAnswer(within: limits.settle, { [calls] in try calls.presence() }) {
            now,
            former in
            now == clean && former == clean
        }
        guard seen == clean else {
            let place = seen.map { "is \($0)" } ?? "is in an unknown state"
            return failure(.inDoubt, "\(detail); the restore could not be undone: the VM \(place) here")
        }
        return failure(kind == .inDoubt ? .failed : kind, "\(detail); the VM does not run here, \(saved.path) is kept")
    }

    /// Returns a call that changes something here; if it returns after the restore was given up, it is undone at once.
    ///
    /// `presence`: what the call leaves. Anything else belongs to somebody else by then.
    private func change(
        leaving presence: DomainPresence,
        _ body: @Sendable @escaping () throws -> Void
    ) -> @Sendable () throws -> Void {
        changes.began()
        let isDefinedHere = restoration == .back
        return { [calls, changes] in
            defer {
                if changes.isGivenUp, (try? calls.presence()) == presence {
                    try? calls.undo(isDefinedHere: isDefinedHere)
                }
                changes.ended()
            }
            try body()
        }
    }

    private func step<R: Sendable>(_ body: @Sendable @escaping () throws -> R) throws(HypervisorError) -> R {
        switch OutstandingCall(body).wait(limits.call) {
        case .success(let value)?: return value
        case .failure(let error)?: throw error as? HypervisorError ?? failure(.failed, "\(error)")
        case nil: throw failure(.timedOut, "libvirt did not answer within \(limits.call)")
        }
    }

    private func failure(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        HypervisorError(kind, attempt: attempt, detail: detail)
    }
}

/// The calls of a restore that change something on the host, and may return after the restore was given up.
final class RestoreChanges: Sendable {
    private struct State {
        var open = 0
        var isGivenUp = false
        var whenEnded: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    var isGivenUp: Bool { state.withLock { $0.isGivenUp } }
    func giveUp() { state.withLock { $0.isGivenUp = true } }
    func began() { state.withLock { $0.open += 1 } }

    func ended() {
        let next: (@Sendable () -> Void)? = state.withLock { state in
            state.open -= 1
            guard state.open == 0 else { return nil }
            defer { state.whenEnded = nil }
            return state.whenEnded
        }
        next?()
    }

    /// Runs the body once no call is open: now, or when the last one has returned and was undone.
    func whenEnded(_ body: @Sendable @escaping () -> Void) {
        let isNow = state.withLock { state in
            if state.open > 0 { state.whenEnded = body }
            return state.open == 0
        }
        if isNow { body() }
    }
}
