// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Hypervisor
internal import Synchronization

extension InMemoryWorld {
    /// Moves the definition of a VM that is off, according to its script; nothing can happen in between.
    func migrateOffline(
        _ request: MigrationRequest,
        from source: HostName
    ) throws(HypervisorError) -> MigrationOutcome {
        let startedAt = now()
        let vm = request.vm
        let attempt = "migrate VM \(vm) to \(request.peerURI)"
        func error(_ kind: HypervisorError.Kind, _ detail: String) -> HypervisorError {
            HypervisorError(kind, attempt: attempt, detail: detail)
        }
        try state.withLock { state throws(HypervisorError) in
            guard var copy = state.copies[source]?[vm] else { throw error(.noSuchVM, "it is not on \(source)") }
            guard copy.presence == .inactive else { throw error(.refused, "it is not off but \(copy.presence)") }
            guard let target = state.hosts.values.first(where: { $0.uri == request.peerURI }) else {
                throw error(.refused, "no host has this URI")
            }
            guard target.answers else { throw error(.inDoubt, "\(target.name) does not answer") }
            if let there = state.copies[target.name]?[vm] {
                throw error(.inDoubt, "\(target.name) already has it: \(there.presence)")
            }
            let turn = state.scripts.removeValue(forKey: vm)?.turn ?? .arrive
            if case .fail(let kind, let detail) = turn { throw error(kind, detail) }
            // libvirt does not transfer it.
            copy.startsWithHost = false
            state.copies[target.name]?[vm] = copy
            switch turn {
            case .arrive: state.copies[source]?[vm] = nil
            case .loseTouch(.arrived): state.copies[source]?[vm] = nil
            case .loseTouch(.stayed): state.copies[target.name]?[vm] = nil
            case .loseTouch(.startedAtSource): state.copies[source]?[vm]?.presence = .running
            // Both hosts keep the definition.
            case .loseTouch, .hang, .fail: break
            }
            guard turn == .arrive else { throw error(.inDoubt, "the hypervisor stopped answering") }
        }
        return MigrationOutcome(startedAt: startedAt, endedAt: now(), totalSeconds: 0.1, bytesTransferred: 0)
    }
}
