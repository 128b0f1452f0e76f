// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Hypervisor
internal import Synchronization

extension InMemoryWorld {
    /// Performs a migration according to its script.
    func migrate(
        _ request: MigrationRequest,
        from source: HostName,
        progress report: @Sendable (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationOutcome {
        let startedAt = now()
        let vm = request.vm
        let (script, memory) = try begin(request, from: source)
        let step = memory / UInt64(max(script.steps, 1))
        for index in 0...script.steps {
            if index == script.atStep, let error = await turn(script.turn, request) { throw error }
            if Task.isCancelled { throw give(up: request, .cancelled, "the task was cancelled") }
            if state.withLock({ $0.moves[vm]?.signal }) == .cancel { throw give(up: request, .cancelled, "cancelled") }
            guard index < script.steps else { break }
            let sent = step * UInt64(index + 1)
            report(
                MigrationProgress(
                    elapsedSeconds: Double(index + 1),
                    bytesTransferred: sent,
                    bytesRemaining: memory - min(sent, memory),
                    bytesTotal: memory,
                    iteration: 1
                )
            )
            await Task.yield()
        }
        finish(vm, .arrived)
        return MigrationOutcome(
            startedAt: startedAt,
            endedAt: now(),
            totalSeconds: Double(script.steps),
            downtimeSeconds: 0.1,
            bytesTransferred: memory,
            iterations: 1
        )
    }

    /// Checks that the migration is possible and prepares both hosts.
    private func begin(
        _ request: MigrationRequest,
        from source: HostName
    ) throws(HypervisorError) -> (InMemoryScript, UInt64) {
        try state.withLock { state throws(HypervisorError) in
            let vm = request.vm
            guard state.moves[vm] == nil else { throw refusal(request, "a migration of this VM is already under way") }
            guard let copy = state.copies[source]?[vm] else {
                throw HypervisorError(.noSuchVM, attempt: attempt(request), detail: "it is not on \(source)")
            }
            guard copy.presence == .running else {
                throw refusal(request, "its state is not running but \(copy.presence)")
            }
            guard let target = state.hosts.values.first(where: { $0.uri == request.peerURI }) else {
                throw refusal(request, "no host has this URI")
            }
            guard target.name != source else { throw refusal(request, "it is already on \(source)") }
            guard target.answers else {
                throw HypervisorError(.failed, attempt: attempt(request), detail: "\(target.name) does not answer")
            }
            if let there = state.copies[target.name]?[vm] {
                throw refusal(request, "\(target.name) already has it: \(there.presence)")
            }
            let free = target.memoryBytes - min(target.memoryBytes, state.memoryTaken(on: target.name))
            guard free >= copy.needs.memoryBytes else {
                let detail = "\(target.name) has \(free) bytes free, it needs \(copy.needs.memoryBytes)"
                throw HypervisorError(.failed, attempt: attempt(request), detail: detail)
            }
            state.copies[source]?[vm]?.presence = .migratingOut
            state.copies[source]?[vm]?.startsWithHost = false
            // The target counts the CPU time of its own copy only.
            state.copies[target.name]?[vm] = Copy(
                needs: copy.needs,
                presence: .pausedByMigration,
                isTransient: copy.isTransient
            )
            state.moves[vm] = Move(source: source, target: target.name)
            return (state.scripts.removeValue(forKey: vm) ?? InMemoryScript(), copy.needs.memoryBytes)
        }
    }

    /// Performs the script's turn; returns an error if it ends the migration.
    private func turn(_ turn: InMemoryScript.Turn, _ request: MigrationRequest) async -> HypervisorError? {
        switch turn {
        case .arrive:
            return nil
        case .fail(let kind, let detail):
            return give(up: request, kind, detail)
        case .loseTouch(let aftermath):
            finish(request.vm, aftermath)
            return HypervisorError(.inDoubt, attempt: attempt(request), detail: "the hypervisor stopped answering")
        case .hang:
            switch await hang(request) {
            case .release: return nil
            case .cancel: return give(up: request, .cancelled, "cancelled while nothing was sent")
            case .timeUp: return give(up: request, .timedOut, "nothing was sent for too long")
            }
        }
    }

    /// Waits for a release, a cancellation, or the shorter of the request's limits.
    private func hang(_ request: MigrationRequest) async -> Signal {
        let vm = request.vm
        return await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    let limit = min(request.timeLimit, request.stallLimit)
                    if (try? await Task.sleep(for: limit)) != nil { self.signal(vm, .timeUp) }
                }
                let signal = await withCheckedContinuation { continuation in
                    let earlier = state.withLock { state in
                        if state.moves[vm]?.signal == nil { state.moves[vm]?.waiter = continuation }
                        return state.moves[vm]?.signal
                    }
                    if let earlier { continuation.resume(returning: earlier) }
                }
                group.cancelAll()
                return signal
            }
        } onCancel: {
            signal(vm, .cancel)
        }
    }

    private func give(up request: MigrationRequest, _ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
        finish(request.vm, .stayed)
        return HypervisorError(kind, attempt: attempt(request), detail: detail)
    }

    private func finish(_ vm: VMID, _ aftermath: InMemoryScript.Aftermath) {
        state.withLock { state in
            guard let move = state.moves.removeValue(forKey: vm) else { return }
            state.settle(vm, move, aftermath)
        }
    }

    private func attempt(_ request: MigrationRequest) -> String { "migrate VM \(request.vm) to \(request.peerURI)" }

    private func refusal(_ request: MigrationRequest, _ detail: String) -> HypervisorError {
        HypervisorError(.refused, attempt: attempt(request), detail: detail)
    }
}
