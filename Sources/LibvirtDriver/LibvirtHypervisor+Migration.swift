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
    /// goes on, and `migrationProgress(of:)` and `presence(of:)` tell of it.
    public func migrate(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome {
        let run = MigrationRun(request, connector: connector, limits: limits, report: progress)
        let isFirst = runs.withLock { runs in
            guard runs[request.vm] == nil else { return false }
            runs[request.vm] = run
            return true
        }
        guard isFirst else {
            throw HypervisorError(.refused, attempt: run.attempt, detail: "a migration of this VM is already under way")
        }
        defer { runs.withLock { $0[request.vm] = nil } }
        let result = await withTaskCancellationHandler {
            await BlockingCall.unbounded { run.carryOut() }
        } onCancel: {
            run.cancel()
        }
        return try result.get()
    }
}
