// SPDX-License-Identifier: Apache-2.0
import Coordination
import Escort
import Fleet
import Hypervisor
import Ledger
import Settings

/// Carries out what an order asks of its source: what the VM needs, the move under escort, and what `AgentCore` wants
/// seen and done where it is not known what became of a move.
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
            var requirements = try await hypervisor.requirements(of: order.vm)
            requirements.disks = requirements.disks.map { disk in
                guard case .block(let path, nil) = disk else { return disk }
                return .block(path: path, identity: BlockDevice.identity(ofDeviceAt: path))
            }
            return .success(requirements)
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
            let reason = "host \(order.target) is not in this agent's configuration (hosts)"
            return .failure(refusal(.escort, runsOn: host, reason))
        }
        return switch order.channel {
        case .plain: await migrateInTheClear(order, to: target, progress: progress)
        case .ipsec: await migrateUnderEscort(order, to: target, progress: progress)
        case .tls, .ipsecTLS, .ssh, .sealed:
            .failure(refusal(.escort, runsOn: host, "this agent has no channel '\(order.channel.rawValue)'"))
        }
    }

    private func migrateInTheClear(
        _ order: MigrationOrder,
        to target: InventoryHost,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        guard settings.escort.allowPlain, order.issuer == .operator else {
            let reason = "moves in the clear are not allowed here (escort.allow_plain)"
            return .failure(refusal(.escort, runsOn: host, reason))
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
        let (result, loss) = await attempt(request, watching: meter, progress: progress)
        switch result {
        case .success(let outcome):
            let evidence = await meter.end(hypervisorBytes: outcome.bytesTransferred)
            return .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
        case .failure(let error):
            var failure = failure(of: error, evidence: await meter.end(hypervisorBytes: nil))
            if let loss, failure.kind == .cancelled {
                failure.kind = .escort
                failure.reason = "the protected path was lost, so the move was ended: \(loss)"
            }
            return .failure(failure)
        }
    }

    /// The hypervisor's result, and why the path was lost if the move was ended for that.
    private func attempt(
        _ request: MigrationRequest,
        watching meter: MoveMeter,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> (Result<MigrationOutcome, HypervisorError>, loss: String?) {
        await withTaskGroup(of: String?.self) { group in
            group.addTask { await endOnLoss(of: meter, moving: request.vm) }
            let result: Result<MigrationOutcome, HypervisorError>
            do throws(HypervisorError) {
                result = .success(try await hypervisor.migrate(request, progress: progress))
            } catch {
                result = .failure(error)
            }
            group.cancelAll()
            return (result, loss: await group.next() ?? nil)
        }
    }

    /// Reads the tunnel's counters once a second, and ends the migration when the tunnel is gone.
    ///
    /// The bytes cannot leave in the clear then, but the VM need not wait for the hypervisor to find out. Returns why, or
    /// `nil` if it held.
    private func endOnLoss(of meter: MoveMeter, moving vm: VMID) async -> String? {
        var losses = 0
        var reason: String?
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            guard !Task.isCancelled else { break }
            let observation = await meter.observe()
            losses = observation.isUp ? 0 : losses + 1
            // One may be the moment between two SAs while they are rekeyed.
            guard losses >= 3 else { continue }
            reason = observation.loss ?? reason
            try? await hypervisor.cancelMigration(of: vm)
        }
        return reason
    }

    private func request(for order: MigrationOrder, to target: InventoryHost, address: String) -> MigrationRequest {
        let bracketed = address.contains(":") ? "[\(address)]" : address
        return MigrationRequest(
            vm: order.vm,
            peerURI: target.libvirtURI,
            migrateURI: "tcp://\(bracketed)",
            listenAddress: address,
            transport: .direct(tls: nil, parallelConnections: nil),
            timeLimit: settings.migration.timeLimit,
            stallLimit: settings.migration.stallLimit,
            maxDowntime: settings.migration.maxDowntime
        )
    }
}

// MARK: failures in words

extension MoveExecution {
    /// `runsOn` is this host where the VM was seen to run here before.
    private func refusal(
        _ check: PreflightFailure.Check,
        runsOn: HostName? = nil,
        _ reason: String
    ) -> OrderFailure {
        let failure = PreflightFailure(check: check, host: host, reason: reason)
        return OrderFailure(kind: .refused, reason: failure.description, runsOn: runsOn, preflight: [failure])
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
            runsOn: [.inDoubt, .refused].contains(kind) ? nil : host,
            evidence: evidence
        )
    }
}
