// SPDX-License-Identifier: Apache-2.0
import HostOS
import Coordination
import Escort
import Fleet
import FleetFiles
import Hypervisor
import Ledger
import Logging
import Settings

/// Execution of the core's effects.
extension AgentService {
    var execution: MoveExecution {
        MoveExecution(host: host, settings: settings, hypervisor: hypervisor, channels: channels)
    }

    func carryOut(_ effect: AgentCore.Effect, _ events: AgentEvents) async {
        switch effect {
        case .append(let report):
            let result = await append(report)
            await events.send(.appended(result))
        case .readRequirements(let order):
            logger.notice("order \(order.id): move \(order.vmName) to \(order.target)")
            let (result, probes) = await requirements(for: order)
            if case .failure = result { movability.recheck(order.vm) }
            await events.send(.requirementsRead(order.id, AgentCore.Answer(result), probes: probes))
        case .checkTarget(let order, let requirements, let promisedBytes):
            await events.send(await check(requirements, for: order, promisedBytes: promisedBytes))
        case .shut(let order): await closePinhole(of: order)
        case .migrate(let order, let preparation):
            let result = await begin(order, preparation) { events.offer(.progressed(order.id, $0)) }
            log(result, of: order)
            if case .failure = result { movability.recheck(order.vm) }
            await events.send(.migrationEnded(order.id, AgentCore.Answer(result)))
        case .cancelMigration(let order):
            do {
                try await hypervisor.cancelMigration(of: order.vm)
                logger.notice("order \(order.id): the hypervisor cancels the move of \(order.vmName)")
            } catch {
                logger.warning("cannot cancel order \(order.id)", metadata: ["reason": "\(error)"])
                // The next attempt follows at once.
                try? await Task.sleep(for: Self.retryInterval)
            }
            await events.send(.cancelTried(order.id))
        case .look(let order):
            let observation = await execution.look(for: order.vm)
            logger.info("order \(order.id): looked for \(order.vmName) here", metadata: ["found": "\(observation)"])
            await events.send(.looked(order.id, observation))
        case .startWithHost(let order):
            let failure = await startWithHost(order)
            logger.log(
                await waits.change(of: order.id, to: failure),
                "cannot set \(order.vmName) to start with this host yet",
                ended: "order \(order.id): autostart of \(order.vmName) is settled"
            )
            await events.send(.autostartSet(order.id, failure: failure))
        case .locate(let id, let vm):
            let (observation, isPersistent) = await execution.locate(vm)
            await events.send(.located(id, observation, isPersistent: isPersistent))
        case .confirm(let id, let vm):
            let failure = await syncDefinitions()
            let (observation, isPersistent) = await execution.locate(vm)
            await events.send(.located(id, failure.map { .silent($0) } ?? observation, isPersistent: isPersistent))
        case .apply(let action, let order):
            let result =
                action == .withdraw
                ? await withdraw(order) : await execution.apply(action, to: order.vm, since: order.issuedAt)
            // Each action can change the definition or its autostart.
            if result == .done { await syncDefinitions() }
            logger.notice("order \(order.id): \(action.rawValue) the copy of \(order.vmName) here: \(result)")
            await events.send(.applied(order.id, result))
        case .seal(let order, let key):
            let result = await seal(order, key)
            if case .failure = result { movability.recheck(order.vm) }
            await events.send(.sealed(order.id, AgentCore.Answer(result)))
        case .unseal(let order, let image):
            let result = await sealedMoves.unseal(order, image)
            if case .failure(let failure) = result {
                logger.error("order \(order.id): cannot open the sealed image", metadata: ["reason": "\(failure.text)"])
            }
            await events.send(.unsealed(order.id, AgentCore.Answer(result)))
        case .release(let order):
            let failure = await sealedMoves.release(order)
            await events.send(.letGo(order.id, failure: failure))
        case .recall(let order):
            let result = await sealedMoves.recall(order)
            let reason: String? = if case .failure(let failure) = result { failure.text } else { nil }
            let change = await waits.change(of: order.id, to: reason)
            logger.log(change, at: .critical, "order \(order.id) waits", ended: "order \(order.id) continues")
            await events.send(.recalled(order.id, AgentCore.Answer(result)))
        case .restore(let order):
            let result = await sealedMoves.restore(order)
            // The source removes the definition that it has kept once the order is done.
            if case .success = result { await syncDefinitions() }
            await logRestoration("restore \(order.vmName) here", result, of: order)
            await events.send(.restored(order.id, AgentCore.Answer(result)))
        case .takeBack(let order, let startsWithHost):
            let result = await sealedMoves.takeBack(order, startsWithHost: startsWithHost)
            if case .success = result { await syncDefinitions() }
            await logRestoration("take \(order.vmName) back", result, of: order)
            await events.send(.restored(order.id, AgentCore.Answer(result)))
        case .forget(let order, let belongsHere):
            guard let left = await sealedMoves.forget(order, belongsHere: belongsHere ?? false) else { break }
            let remedy =
                "if 'virsh dominfo \(order.vmName)' does not know it on any host, run 'virsh define \(left)' here"
            logger.error(
                "order \(order.id): \(order.vmName) may lack its definition on this host; \(remedy), then remove the file"
            )
        case .announce: announce(effect)
        }
    }

    /// Logs an alert for the operator.
    func announce(_ effect: AgentCore.Effect) {
        guard case .announce(let announcement) = effect else { return }
        logger.critical("\(announcement.text)")
    }

    /// Logs images and definitions left on this host that belong to no order in the ledger.
    func reportStrays(besides orders: [OrderID]) {
        for path in sealedMoves.strays(besides: orders) {
            logger.critical(
                "\(path): holds a VM's image or definition and belongs to no order; check where the VM is, then remove it"
            )
        }
    }

    private var sealedMoves: SealedMoves {
        SealedMoves(host: host, settings: settings, hypervisor: hypervisor, keys: sealedKeys, journal: journal)
    }

    /// Checks that the VM can come, and prepares for it.
    private func check(
        _ requirements: VMRequirements,
        for order: MigrationOrder,
        promisedBytes: UInt64
    ) async -> AgentCore.Event.Kind {
        let failures = await unmet(requirements, for: order, promisedBytes: promisedBytes)
        guard failures.isEmpty else { return .targetChecked(order.id, failures) }
        do {
            if order.channel == .sealed {
                let key = try await sealedMoves.prepare(for: order, memoryBytes: requirements.memoryBytes)
                return .targetChecked(order.id, [], sealingKey: key)
            }
            return .targetChecked(order.id, [], gateSeconds: try await openPinhole(for: order))
        } catch {
            let isGate = order.channel.usesMigrationPorts
            return .targetChecked(
                order.id,
                [escortFailure(isGate ? .gatesNotOpened(detail: "\(error)") : .failed(detail: "\(error)"))]
            )
        }
    }

    private func begin(
        _ order: MigrationOrder,
        _ preparation: Preparation,
        progress: @Sendable @escaping (MigrationProgress) -> Void
    ) async -> Result<AgentCore.Completion, OrderFailure> {
        if let failure = await reasonNotToBegin(order) { return .failure(failure) }
        if preparation.startsWithHost, let failure = await stopStartingWithHost(order) { return .failure(failure) }
        let result = await execution.migrate(order, preparation, progress: progress)
        // Otherwise a power cut soon after the move would bring the VM's definition back.
        if case .success = result { await syncDefinitions() }
        return result
    }

    private func seal(_ order: MigrationOrder, _ key: String) async -> Result<SealedImage, OrderFailure> {
        if let failure = await reasonNotToBegin(order) { return .failure(failure) }
        let result = await sealedMoves.seal(order, key: key)
        // A definition that a power cut brings back could be started next to the restored VM.
        if case .success = result { await syncDefinitions() }
        switch result {
        case .success(let image):
            logger.notice(
                "order \(order.id): stopped and sealed \(order.vmName)",
                metadata: ["bytes": "\(image.bytes)"]
            )
        case .failure(let failure):
            logger.error("order \(order.id): cannot seal \(order.vmName)", metadata: ["reason": "\(failure.text)"])
        }
        return result
    }

    /// Collects the VM's requirements and probes the target's gates, which are still closed for this host.
    private func requirements(
        for order: MigrationOrder
    ) async -> (Result<VMRequirements, OrderFailure>, [GateProbe]) {
        if let failure = await closureFailure(order) {
            let reason = FailureReason.Obstacle.closuresDamaged(detail: failure.text)
            return (.failure(OrderFailure(.refused, .order(reason), .notLooked, preflight: [failure])), [])
        }
        if order.channel == .sealed {
            if let failure = await sealedFailure() {
                return (.failure(OrderFailure(.refused, .preflight, .notLooked, preflight: [failure])), [])
            }
            // A sealed move uses no port of the target.
            return (await execution.requirements(for: order), [])
        }
        async let requirements = execution.requirements(for: order)
        do throws(OrderFailure) {
            let probes = try await execution.probeGates(for: order)
            return (await requirements, probes)
        } catch {
            _ = await requirements
            return (.failure(error), [])
        }
    }

    /// Opens the gate for the order's source while its move may begin.
    ///
    /// Returns the seconds that opening took; `nil` if the move uses no port.
    private func openPinhole(for order: MigrationOrder) async throws -> Double? {
        guard order.channel.usesMigrationPorts else { return nil }
        let begin = ContinuousClock.now
        try await channels.mesh.openPinhole(
            for: order.id,
            from: order.source,
            channel: order.channel,
            window: window(of: order)
        )
        return (ContinuousClock.now - begin).inSeconds
    }

    /// Returns the longest time that the order's gate is open; after it the move has begun, or can no longer begin.
    private func window(of order: MigrationOrder) -> Duration {
        order.latestBeginning - .now + limits.jobLock + MoveExecution.escortTimeLimit
            + Self.connectingTime
    }

    /// Closes the order's pinhole; after a start of the agent, waits until the mesh is applied.
    private func closePinhole(of order: MigrationOrder) async {
        let end = ContinuousClock.now + window(of: order)
        while true {
            do {
                return try await channels.mesh.closePinhole(of: order.id, from: order.source, channel: order.channel)
            } catch EscortError.notApplied {
                // A pinhole is closed once its window is over.
                guard ContinuousClock.now < end else { return }
                do { try await Task.sleep(for: Self.retryInterval) } catch { return }
            } catch {
                // The timeout of the pinhole closes it.
                logger.warning("cannot close a pinhole before its window ends", metadata: ["reason": "\(error)"])
                return
            }
        }
    }

    private func append(_ report: OrderReport) async -> AgentCore.Appended {
        do {
            try await ledger.append(report)
            if reportWriting.take(nil) == .ended { logger.notice("reports are written again") }
            logFinding(report)
            return .written
        } catch LedgerError.markNotSaved {
            // The report is in the ledger; the follower logs the trouble once (`localTrouble`).
            return .unmarked
        } catch let error as LedgerError where error.isPermanent {
            logger.critical(
                "cannot write a report",
                metadata: ["order": "\(report.order)", "reason": "\(error)"]
            )
            return .refused
        } catch {
            if case .began(let reason) = reportWriting.take("\(error)") {
                logger.error(
                    "cannot write a report yet",
                    metadata: ["order": "\(report.order)", "reason": "\(reason)"]
                )
            }
            return .failed
        }
    }
}
