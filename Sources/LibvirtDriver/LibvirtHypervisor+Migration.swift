// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Hypervisor
internal import Synchronization

extension LibvirtHypervisor {
    /// Moves a running VM: pre-copy, live, peer to peer, its persistent definition with it, never with libvirt's
    /// `UNSAFE`.
    ///
    /// Cancelling the task aborts the job and then waits, bounded, for libvirt's word on what became of it. A VM that
    /// is transient here stays transient there. A peer-to-peer migration is libvirtd's own: if this process dies, it
    /// goes on, and `presence(of:)` tells of it.
    public func migrate(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome {
        let attempt = MigrationRun.attempt(request)
        let calls = LibvirtMigrationCalls(request, uri: connector.uri, attempt: attempt)
        let run = MigrationRun(request, calls: calls, limits: limits, report: progress)
        let isFirst = runs.withLock { runs in
            guard runs[request.vm] == nil, !saves.withLock({ $0.contains(request.vm) }) else { return false }
            runs[request.vm] = run
            return true
        }
        guard isFirst else {
            throw HypervisorError(.refused, attempt: attempt, detail: "a migration of this VM is already under way")
        }
        defer { runs.withLock { $0[request.vm] = nil } }
        try await checkTarget(request, attempt: attempt)
        let result = await withTaskCancellationHandler {
            await BlockingCall.unbounded { run.carryOut() }
        } onCancel: {
            run.cancel()
        }
        return try result.get()
    }

    /// Asks the target first, with a short limit: inside a migration libvirtd waits up to two minutes for a target
    /// that is silent and cannot be stopped meanwhile, and a VM active there already must never become two.
    private func checkTarget(_ request: MigrationRequest, attempt: String) async throws(HypervisorError) {
        let there: DomainPresence
        do {
            there = try await presence(of: request.vm, atPeer: request.peerURI)
        } catch {
            let detail = "the target cannot be asked: \(error.detail); nothing was touched"
            throw HypervisorError(.failed, attempt: attempt, detail: detail)
        }
        if there == .absent { return }
        let detail =
            there == .inactive
            ? "the VM is already defined at the target; remove that definition there (virsh undefine --keep-nvram "
                + "--keep-tpm \(request.vm)); nothing was touched"
            : "the VM is already active at the target (\(there)); nothing was touched"
        throw HypervisorError(.refused, attempt: attempt, detail: detail)
    }
}
