// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet
public import Hypervisor
internal import Synchronization

/// Stop-and-copy.
///
/// libvirtd opens the image itself, as root and with mode 0600, and passes the open file to QEMU. The folder may
/// therefore belong to root alone, whatever user QEMU runs as, with or without dynamic ownership. The security driver
/// labels only that open file. Leave `save_image_format` in qemu.conf at `raw`: the image is read only once, and is
/// encrypted then.
extension LibvirtHypervisor {
    public func save(
        _ vm: VMID,
        in folder: String,
        timeLimit: Duration,
        keep: @Sendable @escaping (SavedVM) throws -> Void
    ) async throws(HypervisorError) -> SavedVM {
        let attempt = "save VM \(vm) in \(folder)"
        let calls = LibvirtSaveCalls(vm: vm, folder: folder, attempt: attempt, source: Connector(uri: connector.uri))
        let run = SaveRun(vm, attempt: attempt, calls: calls, limits: limits, slots: moving, keep: keep)
        try begin(vm, attempt)
        defer { end(vm) }
        let result = await withTaskCancellationHandler {
            await Blocking.run { run.carryOut(within: timeLimit) }
        } onCancel: {
            run.cancel()
        }
        return try result.get()
    }

    public func image(at path: String) async throws(HypervisorError) -> SavedImage {
        try await reading.run("read the image \(path)") { try $0.image(at: path) }
    }

    public func define(_ definition: String, of vm: VMID) async throws(HypervisorError) {
        try await changing.run("define VM \(vm)") { try $0.define(definition, unlessDefined: vm) }
    }

    public func restore(
        _ saved: SavedVM,
        _ restoration: Restoration,
        timeLimit: Duration,
        beforeStart: @Sendable @escaping () throws -> Void
    ) async throws(HypervisorError) -> Instant {
        let attempt = "restore VM \(saved.vm) from \(saved.path)"
        let calls = LibvirtRestoreCalls(vm: saved.vm, attempt: attempt, target: Connector(uri: connector.uri))
        let run = RestoreRun(
            saved: saved,
            restoration: restoration,
            attempt: attempt,
            calls: calls,
            limits: limits,
            slots: moving,
            beforeStart: beforeStart
        )
        try begin(saved.vm, attempt)
        // A call that libvirt has not answered may still change and undo something, so it must not meet another attempt.
        defer { run.changes.whenEnded { self.end(saved.vm) } }
        return try await Blocking.run { run.carryOut(within: timeLimit) }.get()
    }

    private func begin(_ vm: VMID, _ attempt: String) throws(HypervisorError) {
        let isMoving = runs.withLock { $0[vm] != nil }
        guard !isMoving, saves.withLock({ $0.insert(vm).inserted }) else {
            throw HypervisorError(.refused, attempt: attempt, detail: "a move of this VM is already under way")
        }
    }

    private func end(_ vm: VMID) { _ = saves.withLock { $0.remove(vm) } }
}
