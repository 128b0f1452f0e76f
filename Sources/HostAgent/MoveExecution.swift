// SPDX-License-Identifier: Apache-2.0
import HostOS
import Coordination
import Escort
import Fleet
import Hypervisor
import Ledger
import Settings

/// Executes an order at its source: checks the VM's requirements and moves the VM under escort.
///
/// Also carries out the checks and corrections that `AgentCore` decides after an unknown outcome.
struct MoveExecution: Sendable {
    let host: HostName
    let settings: Settings
    let hypervisor: any Hypervisor
    let channels: Channels
    /// How long the protected path may take to come up before a move is refused: about six calls of swanctl, at their
    /// duration on a busy host (docs/measurements.md, strongSwan).
    static let escortTimeLimit: Duration = .seconds(40)

    func requirements(for order: MigrationOrder) async -> Result<VMRequirements, OrderFailure> {
        do {
            let presence = try await hypervisor.presence(of: order.vm)
            guard presence == (order.isOffline ? .inactive : .running) else {
                let reason: PreflightFailure.HypervisorReason =
                    order.isOffline
                    ? .notOff(order.vm, name: order.vmName) : .notRunning(order.vm, name: order.vmName)
                return .failure(refusal(.state, .unknown, .hypervisor(reason)))
            }
            let checks = SourceChecks(host: host, settings: settings, hypervisor: hypervisor)
            let answer = try await order.isOffline ? checks.readOffline(order.vm) : checks.read(order.vm)
            guard answer.failures.isEmpty else {
                return .failure(OrderFailure(.refused, .preflight, .notLooked, preflight: answer.failures))
            }
            var requirements = answer.requirements
            switch await DiskFiles(order: order.id).identified(requirements.files ?? []) {
            case .success(let files): requirements.files = files
            case .failure(let obstacle): return .failure(refusal(.storage, .notLooked, .host(obstacle.reason)))
            }
            return .success(requirements)
        } catch {
            return .failure(refusal(.state, .notLooked, .hypervisor(.failed(detail: error.description))))
        }
    }

    /// Moves the VM; calls `progress` about once a second.
    ///
    /// `preparation`: the results of the checks when the order was accepted.
    func migrate(
        _ order: MigrationOrder,
        _ preparation: Preparation,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        guard let target = settings.inventory[order.target] else {
            return .failure(refusal(.escort, .at(host), .escort(.targetNotConfigured(order.target))))
        }
        guard order.channel != .plain || (settings.escort.allowPlain && order.issuer == .operator) else {
            return .failure(refusal(.escort, .at(host), .escort(.plainNotAllowed)))
        }
        let protectedPath: any ProtectedPath
        do {
            protectedPath = try await channels.open(
                order.channel,
                to: order.target,
                timeLimit: Self.escortTimeLimit,
                window: settings.migration.timeLimit
            )
        } catch {
            return .failure(OrderFailure(.escort, noPath(of: order, error), .at(host)))
        }
        let (result, loss) = await attempt(
            request(for: order, to: target, by: protectedPath.route, preparation),
            protectedPath,
            progress
        )
        switch result {
        case .success(let outcome):
            var evidence = await protectedPath.end(hypervisorBytes: outcome.bytesTransferred)
            evidence.probes = preparation.probes
            return .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
        case .failure(let error):
            var evidence = await protectedPath.end(hypervisorBytes: nil)
            evidence.probes = preparation.probes
            var failure = failure(of: error, evidence: evidence)
            if let loss, failure.kind == .cancelled {
                failure.kind = .escort
                failure.reason = .move(.pathLost(detail: loss.description))
            }
            return .failure(failure)
        }
    }

    /// Number of repeated probes, one second apart, of gates that were found open.
    private static let maximumChecks = 4

    /// Probes the target's gates from here; throws if one is not seen to be closed.
    ///
    /// A move in the clear has no gates: the result is logged and has no consequence.
    func probeGates(for order: MigrationOrder) async throws(OrderFailure) -> [GateProbe] {
        var probes: [GateProbe]
        do {
            probes = try await channels.probeGates(of: order.target, at: .now)
            // The target closes the gate of the previous order once it has read the end of that order.
            for _ in 1...Self.maximumChecks
            where order.channel != .plain && probes.contains(where: { $0.outcome == .open }) {
                try await Task.sleep(for: .seconds(1))
                probes = try await channels.probeGates(of: order.target, at: .now)
            }
        } catch {
            guard order.channel != .plain else { return [] }
            throw OrderFailure(.escort, noPath(of: order, error), .notLooked)
        }
        if order.channel != .plain, let open = probes.first(where: { $0.outcome != .shut }) {
            let error =
                open.outcome == .open
                ? EscortError.gateOpen(order.target, address: open.address, port: open.port)
                : EscortError.gateUnproven(order.target, address: open.address, port: open.port)
            throw refusal(.escort, .notLooked, .escort(.failed(detail: error.description)))
        }
        return probes
    }

    /// Runs the migration; returns the hypervisor's result and, if the path was lost, the reason.
    private func attempt(
        _ request: MigrationRequest,
        _ protectedPath: any ProtectedPath,
        _ progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> (Result<MigrationOutcome, HypervisorError>, loss: PathLoss?) {
        await withTaskGroup(of: PathLoss?.self) { group in
            group.addTask { await endOnLoss(of: protectedPath, moving: request.vm) }
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

    /// Checks the protected path once a second, and cancels the migration when the path no longer holds.
    ///
    /// The bytes cannot leave in the clear then, but the VM need not wait until the hypervisor notices. Returns the
    /// reason, or `nil` if the path held.
    private func endOnLoss(of protectedPath: any ProtectedPath, moving vm: VMID) async -> PathLoss? {
        var losses = 0
        var loss: PathLoss?
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            guard !Task.isCancelled else { break }
            let observation = await protectedPath.observe()
            losses = observation.isUp ? 0 : losses + 1
            // A single failure may be the moment between two SAs during rekeying.
            guard losses >= 3 else { continue }
            loss = observation.loss ?? loss
            try? await hypervisor.cancelMigration(of: vm)
        }
        return loss
    }

    private func request(
        for order: MigrationOrder,
        to target: InventoryHost,
        by route: MigrationRoute,
        _ preparation: Preparation
    ) -> MigrationRequest {
        let address = if case .direct(let address) = route.kind { address } else { target.address }
        return MigrationRequest(
            vm: order.vm,
            isOffline: order.isOffline,
            peerURI: route.peerURI ?? target.libvirtURI,
            migrateURI: "tcp://\(address.inURI)",
            listenAddress: address,
            transport: Self.transport(by: route, memoryBytes: preparation.memoryBytes),
            timeLimit: settings.migration.timeLimit,
            stallLimit: settings.migration.stallLimit,
            maxDowntime: settings.migration.maxDowntime
        )
    }
}

extension MoveExecution {
    /// Approximate number of times that pre-copy sends a busy VM's memory before it converges.
    static let expectedCopies: UInt64 = 2
    static let parallelConnections = 4

    static func transport(by route: MigrationRoute, memoryBytes: UInt64) -> Transport {
        guard case .direct = route.kind else { return .tunnelled }
        guard let name = route.tlsName else { return .direct(tls: nil, parallelConnections: nil) }
        let mayPassLimit = memoryBytes > Transport.singleTLSLimit / expectedCopies
        return .direct(
            tls: TLSParameters(targetName: name),
            parallelConnections: mayPassLimit ? parallelConnections : nil
        )
    }
}

// MARK: failures

extension MoveExecution {
    private func refusal(
        _ check: PreflightFailure.Check,
        _ whereabouts: OrderFailure.Whereabouts,
        _ reason: PreflightFailure.Reason
    ) -> OrderFailure {
        let failure = PreflightFailure(check: check, host: host, reason: reason)
        return OrderFailure(.refused, .preflight, whereabouts, preflight: [failure])
    }

    private func noPath(of order: MigrationOrder, _ error: any Error) -> FailureReason {
        .move(.noPath(target: order.target, vm: order.vmName, source: host, detail: "\(error)"))
    }

    private func failure(of error: HypervisorError, evidence: Evidence?) -> OrderFailure {
        let kind: OrderFailure.Kind =
            switch error.kind {
            case .cancelled: .cancelled
            case .inDoubt: .inDoubt
            case .refused, .noSuchVM: .refused
            case .notConnected, .timedOut, .failed: .migration
            }
        let whereabouts: OrderFailure.Whereabouts =
            switch error.kind {
            case .inDoubt: .unknown
            case .noSuchVM: .notLooked
            case .refused, .cancelled, .notConnected, .timedOut, .failed: .at(host)
            }
        return OrderFailure(kind, .move(.hypervisor(detail: error.description)), whereabouts, evidence: evidence)
    }
}
