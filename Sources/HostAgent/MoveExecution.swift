// SPDX-License-Identifier: Apache-2.0
import Coordination
import Escort
import Fleet
import Hypervisor
import Ledger
import Settings

/// Carries out what an order asks of its source: what the VM needs, the move under escort, and, after a restart,
/// finding out what became of it.
struct MoveExecution: Sendable {
    let host: HostName
    let settings: Settings
    let hypervisor: any Hypervisor
    let mesh: Mesh

    /// How long the protected path may take to come up before a move is refused.
    static let escortTimeLimit: Duration = .seconds(20)

    func requirements(for order: MigrationOrder) async -> Result<VMRequirements, OrderFailure> {
        do {
            guard try await hypervisor.presence(of: order.vm) == .running else {
                return .failure(refusal(.state, "VM \(order.vmName) (\(order.vm)) does not run here"))
            }
            return .success(try await hypervisor.requirements(of: order.vm))
        } catch {
            return .failure(refusal(.state, error.description))
        }
    }

    /// Moves the VM; `progress` is called about once a second.
    func migrate(
        _ order: MigrationOrder,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        guard let target = settings.inventory[order.target] else {
            return .failure(refusal(.escort, "host \(order.target) is not in this agent's configuration (hosts)"))
        }
        let result =
            switch order.channel {
            case .plain: await migrateInTheClear(order, to: target, progress: progress)
            case .ipsec: await migrateUnderEscort(order, to: target, progress: progress)
            }
        guard case .failure(let failure) = result, failure.kind == .inDoubt else { return result }
        return await settle(order, doubt: failure)
    }

    private func migrateInTheClear(
        _ order: MigrationOrder,
        to target: InventoryHost,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        guard settings.escort.allowPlain, order.issuer == .operator else {
            return .failure(refusal(.escort, "moves in the clear are not allowed here (escort.allow_plain)"))
        }
        do {
            let request = request(for: order, to: target, address: target.address)
            let outcome = try await hypervisor.migrate(request, progress: progress)
            let evidence = Evidence(
                channel: .plain,
                bytesByHypervisor: outcome.bytesTransferred,
                verdict: .unprotected
            )
            return .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
        } catch {
            return .failure(failure(of: error, evidence: nil))
        }
    }

    private func migrateUnderEscort(
        _ order: MigrationOrder,
        to target: InventoryHost,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        let meter: MoveMeter
        do {
            _ = try await mesh.establish(with: order.target, timeLimit: Self.escortTimeLimit)
            meter = try await mesh.beginMove(order.target)
        } catch {
            let reason = "no protected path to \(order.target), so \(order.vmName) stays on \(host): \(error)"
            return .failure(OrderFailure(kind: .escort, reason: reason, runsOn: host))
        }
        let request = request(for: order, to: target, address: target.innerAddress)
        let result = await withTaskGroup(of: Void.self) { group in
            group.addTask { await watch(meter, over: order) }
            defer { group.cancelAll() }
            return await attempt(request, progress: progress)
        }
        switch result {
        case .success(let outcome):
            let evidence = await meter.end(hypervisorBytes: outcome.bytesTransferred)
            return .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
        case .failure(let error):
            return .failure(failure(of: error, evidence: await meter.end(hypervisorBytes: nil)))
        }
    }

    private func attempt(
        _ request: MigrationRequest,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<MigrationOutcome, HypervisorError> {
        do { return .success(try await hypervisor.migrate(request, progress: progress)) } catch {
            return .failure(error)
        }
    }

    /// Reads the tunnel's counters once a second, and ends the migration when the tunnel is gone: the bytes cannot leave
    /// in the clear then, but the VM need not wait for the hypervisor to find out.
    private func watch(_ meter: MoveMeter, over order: MigrationOrder) async {
        var losses = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            guard !Task.isCancelled else { return }
            losses = await meter.observe().isUp ? 0 : losses + 1
            // One may be the moment between two SAs while they are rekeyed.
            if losses >= 3 { try? await hypervisor.cancelMigration(of: order.vm) }
        }
    }

    private func request(for order: MigrationOrder, to target: InventoryHost, address: String) -> MigrationRequest {
        let bracketed = address.contains(":") ? "[\(address)]" : address
        return MigrationRequest(
            vm: order.vm,
            peerURI: target.libvirtURI,
            migrateURI: "tcp://\(bracketed)",
            listenAddress: address,
            timeLimit: settings.migration.timeLimit,
            stallLimit: settings.migration.stallLimit,
            maxDowntime: settings.migration.maxDowntime
        )
    }
}

// MARK: failures in words

extension MoveExecution {
    private func refusal(_ check: PreflightFailure.Check, _ reason: String) -> OrderFailure {
        let failure = PreflightFailure(check: check, host: host, reason: reason)
        return OrderFailure(kind: .refused, reason: failure.description, runsOn: nil, preflight: [failure])
    }

    private func failure(of error: HypervisorError, evidence: Evidence?) -> OrderFailure {
        let kind: OrderFailure.Kind =
            switch error.kind {
            case .cancelled: .cancelled
            case .inDoubt: .inDoubt
            case .refused, .noSuchVM: .refused
            case .notConnected, .timedOut, .failed: .migration
            }
        return OrderFailure(
            kind: kind,
            reason: error.description,
            runsOn: kind == .inDoubt ? nil : host,
            evidence: evidence
        )
    }
}

// MARK: finding out what became of a move

extension MoveExecution {
    /// What the hypervisors of source and target say of an order's VM; the words of `doubt` go into a failure.
    ///
    /// A copy that a broken migration left paused is resumed here only when the target says that it has none, and ended
    /// here only when the target runs it: the VM then executes on exactly one host.
    func reconcile(_ order: MigrationOrder, doubt: String) async -> AgentCore.Reconciliation {
        guard let target = settings.inventory[order.target] else { return .undecided }
        do {
            let here = try await hypervisor.presence(of: order.vm)
            switch here {
            case .migratingOut: return .undecided
            case .running, .paused:
                return .notMoved(
                    OrderFailure(kind: .interrupted, reason: "\(doubt); \(order.vmName) is on \(host)", runsOn: host)
                )
            case .pausedByMigration, .absent, .inactive:
                let there = try await hypervisor.presence(of: order.vm, atPeer: target.libvirtURI)
                return try await decide(order, here: here, there: there, doubt: doubt)
            }
        } catch {
            return .undecided
        }
    }

    private func decide(
        _ order: MigrationOrder,
        here: DomainPresence,
        there: DomainPresence,
        doubt: String
    ) async throws(HypervisorError) -> AgentCore.Reconciliation {
        switch (here, there) {
        case (_, .running), (.absent, .paused), (.inactive, .paused):
            try await discardLeftover(of: order.vm)
            let now = Instant.byTheWallClock
            let outcome = MigrationOutcome(
                startedAt: order.issuedAt,
                endedAt: now,
                note: "\(doubt); the hypervisors say that \(order.vmName) runs on \(order.target)"
            )
            let verdict = order.channel == .plain ? Evidence.Verdict.unprotected : .unknown
            return .completed(
                AgentCore.Completion(outcome: outcome, evidence: Evidence(channel: order.channel, verdict: verdict))
            )
        case (.pausedByMigration, .absent):
            try await hypervisor.resume(order.vm)
            let reason = "\(doubt); \(order.target) has no copy, so \(order.vmName) was resumed on \(host)"
            return .notMoved(OrderFailure(kind: .interrupted, reason: reason, runsOn: host))
        case (.absent, .absent), (.absent, .inactive), (.inactive, .absent), (.inactive, .inactive):
            let reason =
                "\(doubt); neither \(host) nor \(order.target) runs \(order.vmName): look for it and start it by hand"
            return .notMoved(OrderFailure(kind: .inDoubt, reason: reason, runsOn: nil))
        default:
            // The target still has an incoming copy: its hypervisor has not made up its mind yet.
            return .undecided
        }
    }

    /// Removes what a move whose last step was not confirmed leaves here: a paused copy, or a definition that could be
    /// started a second time.
    private func discardLeftover(of vm: VMID) async throws(HypervisorError) {
        do { try await hypervisor.discardHandedOver(vm) } catch {
            // Nothing was left: the usual case.
            guard error.kind == .noSuchVM else { throw error }
        }
    }

    /// Asks again until the hypervisors agree, since a VM in doubt must not be left so; gives up only when cancelled.
    private func settle(
        _ order: MigrationOrder,
        doubt: OrderFailure
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        while !Task.isCancelled {
            switch await reconcile(order, doubt: doubt.reason) {
            case .completed(let completion): return .success(completion)
            case .notMoved(var failure):
                if failure.kind == .interrupted { failure.kind = .migration }
                failure.evidence = doubt.evidence
                return .failure(failure)
            case .undecided: try? await Task.sleep(for: .seconds(1))
            }
        }
        return .failure(doubt)
    }
}
