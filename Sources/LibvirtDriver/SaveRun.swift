// SPDX-License-Identifier: Apache-2.0
internal import HostOS
internal import Fleet
internal import Foundation
internal import Hypervisor
internal import Synchronization

/// The libvirt calls that save one VM; each may block indefinitely.
protocol SaveCalls: Sendable {
    func prepare() throws -> SavedVM
    func undefine() throws
    func save(to path: String) throws
    func abort() throws
    func presence() throws -> DomainPresence
    func image(at path: String) throws -> SavedImage
    func define(_ xml: String) throws
    func setAutostart() throws
}

/// The calls through libvirt's C API, on a connection of their own.
struct LibvirtSaveCalls: SaveCalls {
    let vm: VMID
    let folder: String
    let attempt: String
    let source: Connector

    func prepare() throws -> SavedVM {
        try source.use(attempt) { try $0.prepareSaving(of: vm, in: folder, attempt: attempt) }
    }
    func undefine() throws { try source.use(attempt) { try $0.undefine(vm) } }
    func save(to path: String) throws { try source.use(attempt) { try $0.save(vm, to: path) } }
    func abort() throws { try source.use(attempt) { try $0.abortSaving(of: vm) } }
    func presence() throws -> DomainPresence { try source.use(attempt) { try $0.presence(of: vm) } }
    func image(at path: String) throws -> SavedImage { try source.use(attempt) { try $0.image(at: path) } }
    func define(_ xml: String) throws { try source.use(attempt) { try $0.define(xml, unlessDefined: vm) } }
    func setAutostart() throws { try source.use(attempt) { try $0.setAutostart(of: vm, to: true) } }
}

/// Saves one VM, from the first check to a known outcome.
///
/// The VM's state decides, whatever the call returns: a VM that is off and has a complete image is saved, a VM that
/// runs is not. Its definition is removed while it still runs: there is no moment in which it is off and can be started.
final class SaveRun: Sendable {
    let vm: VMID
    let attempt: String
    let calls: any SaveCalls
    let limits: LibvirtHypervisor.Limits
    let slots: CallSlots
    let keep: @Sendable (SavedVM) throws -> Void
    private let isCancelled = Mutex(false)

    init(
        _ vm: VMID,
        attempt: String,
        calls: any SaveCalls,
        limits: LibvirtHypervisor.Limits,
        slots: CallSlots,
        keep: @Sendable @escaping (SavedVM) throws -> Void
    ) {
        self.vm = vm
        self.attempt = attempt
        self.calls = calls
        self.limits = limits
        self.keep = keep
        self.slots = slots
    }

    func cancel() { isCancelled.withLock { $0 = true } }

    /// Blocks until the outcome is known or the limits have passed.
    func carryOut(within limit: Duration) -> Result<SavedVM, HypervisorError> {
        guard let preparing = OutstandingCall(in: slots, { [calls] in try calls.prepare() }) else {
            return .failure(failure(.refused, "\(slots.full); nothing was touched"))
        }
        let prepared: SavedVM
        switch preparing.wait(limits.call) {
        case .success(let saved)?: prepared = saved
        case .failure(let error)?: return .failure(error as? HypervisorError ?? failure(.failed, "\(error)"))
        case nil: return .failure(failure(.timedOut, "libvirt did not answer; nothing was touched"))
        }
        let file = ImageFile(path: prepared.path)
        guard !isCancelled.withLock({ $0 }) else {
            return .failure(failure(.cancelled, "cancelled before it had begun; nothing was touched"))
        }
        if let failure = removeDefinition(prepared) { return .failure(failure) }
        guard let call = OutstandingCall(in: slots, { [calls] in try calls.save(to: file.path) }) else {
            return .failure(stays(prepared, .refused, "\(slots.full); it was not saved"))
        }
        let (result, wasEnded) = call.wait(
            within: limit,
            patience: limits.abort,
            unless: { isCancelled.withLock { $0 } },
            end: { [calls] in try calls.abort() }
        )
        let reason = isCancelled.withLock { $0 } ? "it was cancelled" : "it took longer than \(limit.text)"
        guard let result else {
            let detail = "\(reason), but libvirt has not ended it \(limits.abort) after it was asked to"
            return .failure(failure(.inDoubt, detail))
        }
        guard case .failure(let error) = result else { return finished(prepared, file) }
        let words = (error as? HypervisorError)?.detail ?? "\(error)"
        return settle(prepared, file, kind(wasEnded), wasEnded ? "\(reason): \(words)" : words)
    }

    /// Removes the definition once it is kept; returns the failure if the VM stays.
    private func removeDefinition(_ prepared: SavedVM) -> HypervisorError? {
        do { try keep(prepared) } catch {
            return failure(.refused, "its definition cannot be kept: \(error); nothing was touched")
        }
        guard prepared.definition != nil else { return nil }
        guard let undefining = OutstandingCall(in: slots, { [calls] in try calls.undefine() }) else {
            return failure(.refused, "\(slots.full); nothing was touched")
        }
        switch undefining.wait(limits.call) {
        case .success?: return nil
        case .failure(let error)?:
            let words = (error as? HypervisorError)?.detail ?? "\(error)"
            return stays(prepared, .failed, "\(words); the VM runs on")
        case nil:
            // The call may still take effect.
            return failure(
                .inDoubt,
                "libvirt did not answer within \(limits.call); the VM may have lost its definition"
            )
        }
    }

    private func kind(_ wasEnded: Bool) -> HypervisorError.Kind {
        guard wasEnded else { return .failed }
        return isCancelled.withLock { $0 } ? .cancelled : .timedOut
    }

    private func settle(
        _ prepared: SavedVM,
        _ file: ImageFile,
        _ kind: HypervisorError.Kind,
        _ cause: String
    ) -> Result<SavedVM, HypervisorError> {
        // libvirt resumes the VM shortly after the call has failed.
        let settled: Set<DomainPresence> = [.running, .inactive, .absent]
        let seen = BackgroundCall.lastAnswer(within: limits.settle, { [calls] in try calls.presence() }) {
            now,
            former in
            now == former && settled.contains(now)
        }
        switch seen {
        case .running:
            file.remove()
            return .failure(stays(prepared, kind, "\(cause); the VM runs on"))
        case .inactive, .absent:
            let image = BackgroundCall().run(within: limits.call) { [calls] in try calls.image(at: file.path) }
            if image?.vm == vm { return finished(prepared, file) }
            return .failure(failure(.inDoubt, "\(cause); the VM is off and \(file.path) is not known to be complete"))
        case let other:
            let place = other.map { "is \($0)" } ?? "is in an unknown state"
            return .failure(failure(.inDoubt, "\(cause); the VM \(place)"))
        }
    }

    private func finished(_ prepared: SavedVM, _ file: ImageFile) -> Result<SavedVM, HypervisorError> {
        guard let size = file.closedSize() else {
            return .failure(failure(.inDoubt, "it is saved, but \(file.path) is missing or others can read it"))
        }
        var saved = prepared
        saved.imageBytes = size
        return .success(saved)
    }

    /// Gives a VM that continues to run its definition and autostart again, and returns the error of the save.
    private func stays(_ prepared: SavedVM, _ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        guard let definition = prepared.definition else { return failure(kind, detail) }
        let isDefined: Void? = BackgroundCall().run(within: limits.call) { [calls] in
            try calls.define(definition)
            if prepared.startsWithHost { try calls.setAutostart() }
        }
        return isDefined == nil ? failure(.inDoubt, "\(detail), but without its definition") : failure(kind, detail)
    }

    private func failure(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        HypervisorError(kind, attempt: attempt, detail: detail)
    }
}
