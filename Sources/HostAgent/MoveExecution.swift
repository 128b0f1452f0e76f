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
    let channels: Channels
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
    ///
    /// `preparation`: what was seen when the order was accepted.
    func migrate(
        _ order: MigrationOrder,
        _ preparation: Preparation,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        guard let target = settings.inventory[order.target] else {
            let reason = "host \(order.target) is not in this agent's configuration (hosts)"
            return .failure(refusal(.escort, runsOn: host, reason))
        }
        guard order.channel != .plain || (settings.escort.allowPlain && order.issuer == .operator) else {
            let reason = "moves in the clear are not allowed here (escort.allow_plain)"
            return .failure(refusal(.escort, runsOn: host, reason))
        }
        let passage: any Passage
        do {
            passage = try await channels.open(
                order.channel,
                to: order.target,
                timeLimit: Self.escortTimeLimit,
                window: settings.migration.timeLimit
            )
        } catch {
            let reason = "no protected path to \(order.target), so \(order.vmName) stays on \(host): \(error)"
            return .failure(OrderFailure(kind: .escort, reason: reason, runsOn: host))
        }
        let (result, loss) = await attempt(
            request(for: order, to: target, by: passage.route, preparation),
            passage,
            progress
        )
        switch result {
        case .success(let outcome):
            var evidence = await passage.end(hypervisorBytes: outcome.bytesTransferred)
            evidence.probes = preparation.probes
            return .success(AgentCore.Completion(outcome: outcome, evidence: evidence))
        case .failure(let error):
            var evidence = await passage.end(hypervisorBytes: nil)
            evidence.probes = preparation.probes
            var failure = failure(of: error, evidence: evidence)
            if let loss, failure.kind == .cancelled {
                failure.kind = .escort
                failure.reason = "the protected path was lost, so the move was ended: \(loss)"
            }
            return .failure(failure)
        }
    }

    /// How often, each a second after the last, gates are looked at again that were seen open.
    private static let secondLooks = 4

    /// Knocks at the target's gates from here, where they must be shut; throws if one is not seen to be.
    ///
    /// A move in the clear has no gates to speak of: what is seen is told, and nothing follows from it.
    func probeGates(for order: MigrationOrder) async throws(OrderFailure) -> [GateProbe] {
        var probes: [GateProbe]
        do {
            probes = try await channels.probeGates(of: order.target, at: .byTheWallClock)
            // The target shuts the gate of the order before when it has read of that one's end.
            for _ in 1...Self.secondLooks
            where order.channel != .plain && probes.contains(where: { $0.outcome == .open }) {
                try await Task.sleep(for: .seconds(1))
                probes = try await channels.probeGates(of: order.target, at: .byTheWallClock)
            }
        } catch {
            guard order.channel != .plain else { return [] }
            let reason = "no protected path to \(order.target), so \(order.vmName) stays on \(host): \(error)"
            throw OrderFailure(kind: .escort, reason: reason, runsOn: nil)
        }
        if order.channel != .plain, let open = probes.first(where: { $0.outcome != .shut }) {
            let error =
                open.outcome == .open
                ? EscortError.gateOpen(order.target, address: open.address, port: open.port)
                : EscortError.gateUnproven(order.target, address: open.address, port: open.port)
            throw refusal(.escort, error.description)
        }
        return probes
    }

    /// The hypervisor's result, and why the path was lost if the move was ended for that.
    private func attempt(
        _ request: MigrationRequest,
        _ passage: any Passage,
        _ progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> (Result<MigrationOutcome, HypervisorError>, loss: String?) {
        await withTaskGroup(of: String?.self) { group in
            group.addTask { await endOnLoss(of: passage, moving: request.vm) }
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

    /// Looks at the passage once a second, and ends the migration when it no longer holds.
    ///
    /// The bytes cannot leave in the clear then, but the VM need not wait for the hypervisor to find out. Returns why, or
    /// `nil` if it held.
    private func endOnLoss(of passage: any Passage, moving vm: VMID) async -> String? {
        var losses = 0
        var reason: String?
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            guard !Task.isCancelled else { break }
            let observation = await passage.observe()
            losses = observation.isUp ? 0 : losses + 1
            // One may be the moment between two SAs while they are rekeyed.
            guard losses >= 3 else { continue }
            reason = observation.loss ?? reason
            try? await hypervisor.cancelMigration(of: vm)
        }
        return reason
    }

    private func request(
        for order: MigrationOrder,
        to target: InventoryHost,
        by route: MigrationRoute,
        _ preparation: Preparation
    ) -> MigrationRequest {
        let address = if case .direct(let address) = route.kind { address } else { target.address }
        let bracketed = address.contains(":") ? "[\(address)]" : address
        return MigrationRequest(
            vm: order.vm,
            peerURI: route.peerURI ?? target.libvirtURI,
            migrateURI: "tcp://\(bracketed)",
            listenAddress: address,
            transport: Self.transport(by: route, memoryBytes: preparation.memoryBytes),
            timeLimit: settings.migration.timeLimit,
            stallLimit: settings.migration.stallLimit,
            maxDowntime: settings.migration.maxDowntime
        )
    }
}

extension MoveExecution {
    /// What one TLS connection of QEMU's may carry: QEMU 7.2 can crash after some 64 GB (QEMU bug 1937).
    static let singleTLSConnectionBytes: UInt64 = 48_000_000_000
    /// Pre-copy sends a busy VM's memory about this many times over before it converges.
    static let expectedCopies: UInt64 = 2
    static let parallelConnections = 4

    static func transport(by route: MigrationRoute, memoryBytes: UInt64) -> Transport {
        guard case .direct = route.kind else { return .tunnelled }
        guard let name = route.tlsName else { return .direct(tls: nil, parallelConnections: nil) }
        let mayPassLimit = memoryBytes > singleTLSConnectionBytes / expectedCopies
        return .direct(
            tls: TLSParameters(targetName: name),
            parallelConnections: mayPassLimit ? parallelConnections : nil
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
