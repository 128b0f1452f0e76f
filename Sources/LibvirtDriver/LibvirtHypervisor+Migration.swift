// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet
public import Hypervisor
internal import Synchronization

extension LibvirtHypervisor {
    /// Migrates a running VM: live pre-copy, peer to peer, with its persistent definition, never with libvirt's
    /// `UNSAFE`.
    ///
    /// Cancelling the task aborts the job, then waits for a limited time until libvirt reports the outcome. A VM that
    /// is transient here stays transient at the target. libvirtd itself runs a peer-to-peer migration: it continues if
    /// this process dies, and `presence(of:)` shows it.
    public func migrate(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome {
        let attempt = LiveMigration.attempt(request)
        let calls = LibvirtMigrationCalls(request, uri: connector.uri, attempt: attempt)
        let run = LiveMigration(request, calls: calls, limits: limits, slots: moving, peers: peers, report: progress)
        let isFirst = runs.withLock { runs in
            guard runs[request.vm] == nil, !saves.withLock({ $0.contains(request.vm) }) else { return false }
            runs[request.vm] = run
            return true
        }
        guard isFirst else {
            throw HypervisorError(.refused, attempt: attempt, detail: "a migration of this VM is already under way")
        }
        defer { runs.withLock { $0[request.vm] = nil } }
        try await reachTarget(request, attempt: attempt)
        let result = await withTaskCancellationHandler {
            await Blocking.run { run.carryOut() }
        } onCancel: {
            run.cancel()
        }
        return try result.get()
    }

    /// Connects to the target before the migration, with a short limit.
    ///
    /// Inside a migration, libvirtd waits up to two minutes for a silent target, and without limit for one that hangs.
    /// It cannot be stopped meanwhile.
    private func reachTarget(_ request: MigrationRequest, attempt: String) async throws(HypervisorError) {
        let (peers, limit, uri) = (peers, limits.peer, request.peerURI)
        let result = await Blocking.run { peers.run(at: uri, within: limit) { _ = try Connection(opening: uri) } }
        let reason: String
        switch result {
        case .success?: return
        case .failure(let error)?: reason = (error as? LibvirtError)?.detail ?? "\(error)"
        case nil: reason = "it did not answer within \(limit.text)"
        }
        let detail = "no connection to the target's libvirt: \(reason); nothing was touched"
        throw HypervisorError(.refused, attempt: attempt, detail: detail)
    }
}
