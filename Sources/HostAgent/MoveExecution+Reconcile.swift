// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Hypervisor
import Ledger
import Settings

/// Finding out from both hypervisors what became of a move.
///
/// | here | at the target | so |
/// |---|---|---|
/// | runs | runs | the copy here is paused at once; in doubt: a person must judge the disks |
/// | runs | anything else, or silent | it stayed |
/// | paused by the migration, or not active | runs | it moved; what is left here is removed |
/// | not active | paused by its owner | it moved; what is left here is removed |
/// | unknown | defined, not active | it moved, and was shut down since |
/// | paused by the migration | unknown, as to every other host | it stayed: resumed here |
/// | paused by the migration | defined, not active | in doubt: it may have run and stopped there since |
/// | defined, not active | not active | in doubt: shut down, or lost |
/// | unknown | unknown | in doubt: lost |
/// | anything else | silent, or anything else | look again |
extension MoveExecution {
    /// What the hypervisors of source and target say of an order's VM; the words of `doubt` go into a failure.
    func reconcile(
        _ order: MigrationOrder,
        startedAt: Instant,
        doubt: String
    ) async -> AgentCore.Reconciliation {
        do {
            let here = try await hypervisor.presence(of: order.vm)
            guard here != .migratingOut else { return .stillMoving }
            let seen = Seen(order: order, startedAt: startedAt, doubt: doubt, here: here)
            guard let target = settings.inventory[order.target] else {
                guard here == .running || here == .paused else {
                    return .undecided(reason: "\(doubt); \(order.target) is not in this agent's configuration (hosts)")
                }
                return stayed(seen)
            }
            do {
                let there = try await hypervisor.presence(of: order.vm, atPeer: target.libvirtURI)
                return try await decide(seen, there: there)
            } catch {
                // It was seen to run here; a target that is down does not change that.
                guard here == .running || here == .paused else { throw error }
                return stayed(seen, "\(order.target) could not be asked whether it has a copy (\(error.detail))")
            }
        } catch {
            return .undecided(reason: "\(doubt); \(error)")
        }
    }

    /// The same for a move that an earlier life of this agent began.
    ///
    /// libvirtd may have taken the request and still be waiting for the VM's job lock, for up to 30 s; so that the VM
    /// runs here without a migration counts only once it has been so for longer.
    func reconcileAfterRestart(_ order: MigrationOrder, startedAt: Instant) async -> AgentCore.Reconciliation {
        let doubt = "the agent was restarted during the move"
        let quiet = ContinuousClock.now + jobLockTime
        while ContinuousClock.now < quiet, (try? await hypervisor.presence(of: order.vm)) == .running {
            do { try await Task.sleep(for: .seconds(1)) } catch { return .undecided(reason: doubt) }
        }
        return await reconcile(order, startedAt: startedAt, doubt: doubt)
    }

    /// Asks again until the hypervisors agree, since a VM in doubt must not be left so; a person is called when they do
    /// not for as long as `AgentCore.Limits.doubt`.
    func settle(_ order: MigrationOrder, doubt: OrderFailure) async -> Result<AgentCore.Completion, OrderFailure> {
        var deadline = ContinuousClock.now + AgentCore.Limits().doubt
        var last = doubt
        while !Task.isCancelled, ContinuousClock.now < deadline {
            switch await reconcile(order, startedAt: order.issuedAt, doubt: doubt.reason) {
            case .completed(let completion): return .success(completion)
            case .notMoved(var failure):
                if failure.kind == .interrupted { failure.kind = .migration }
                failure.evidence = doubt.evidence
                return .failure(failure)
            case .stillMoving:
                // The driver has given it up; its limits hold all the same.
                try? await hypervisor.cancelMigration(of: order.vm)
                deadline = ContinuousClock.now + AgentCore.Limits().doubt
            case .undecided(let reason): last.reason = reason
            }
            try? await Task.sleep(for: .seconds(1))
        }
        return .failure(last)
    }

    private struct Seen {
        var order: MigrationOrder
        var startedAt: Instant
        var doubt: String
        var here: DomainPresence
    }

    private func decide(_ seen: Seen, there: DomainPresence) async throws(HypervisorError) -> AgentCore.Reconciliation {
        let (order, doubt) = (seen.order, seen.doubt)
        switch (seen.here, there) {
        case (.running, .running): return try await pauseTwin(seen)
        case (.running, _), (.paused, _): return stayed(seen)
        // `.migratingOut`: the target has it and is sending it on.
        case (_, .running), (_, .migratingOut), (.absent, .paused), (.inactive, .paused):
            try await discardLeftover(of: order.vm)
            return moved(seen, "\(order.vmName) is on \(order.target)")
        case (.absent, .inactive): return moved(seen, "\(order.target) has \(order.vmName), shut off since")
        case (.pausedByMigration, .absent):
            if let other = try await otherHost(with: order) {
                return inDoubt(
                    seen,
                    "\(order.vmName) is paused on \(host), and \(other) has it too: look which is the newer"
                )
            }
            do {
                try await hypervisor.resume(order.vm)
            } catch  where error.kind == .refused {
                return inDoubt(
                    seen,
                    "\(order.vmName) is paused on \(host) and not known to \(order.target): \(error.detail)"
                )
            }
            return stayed(seen, "\(order.target) has no copy, so it was resumed")
        case (.pausedByMigration, .inactive):
            // Its memory here may be older than its disks: never resumed without a person's judgement.
            return inDoubt(
                seen,
                "\(order.vmName) is paused on \(host), and \(order.target) has it, not active: if it ran there since, "
                    + "start it there and 'virsh destroy' it here; else 'virsh resume' it here"
            )
        case (.inactive, .absent), (.absent, .absent), (.inactive, .inactive):
            return inDoubt(
                seen,
                "neither \(host) nor \(order.target) runs \(order.vmName): if it was not shut down, look for it"
            )
        default:
            return .undecided(reason: "\(doubt); \(host) has it \(seen.here), \(order.target) has it \(there)")
        }
    }

    /// A host, neither source nor target, that knows the VM: somebody may have sent it on from the target by hand.
    private func otherHost(with order: MigrationOrder) async throws(HypervisorError) -> HostName? {
        for other in settings.inventory.hosts where other.name != host && other.name != order.target {
            if try await hypervisor.presence(of: order.vm, atPeer: other.libvirtURI) != .absent { return other.name }
        }
        return nil
    }

    /// Ends the copy here if the target runs the VM, too, and returns what was found and done.
    ///
    /// For a move that ended with the VM seen here: as long as the target does not answer, nobody knows that it does
    /// not run it, so it is asked until it does, or for as long as `AgentCore.Limits.doubt`.
    func endTwin(of order: MigrationOrder) async -> OrderFailure? {
        guard let target = settings.inventory[order.target] else { return nil }
        let deadline = ContinuousClock.now + AgentCore.Limits().doubt
        while !Task.isCancelled, ContinuousClock.now < deadline {
            if let there = try? await hypervisor.presence(of: order.vm, atPeer: target.libvirtURI) {
                guard there == .running, (try? await hypervisor.presence(of: order.vm)) == .running else { return nil }
                let seen = Seen(order: order, startedAt: order.issuedAt, doubt: "the move had failed", here: .running)
                if case .notMoved(let failure)? = try? await pauseTwin(seen) { return failure }
            }
            try? await Task.sleep(for: .seconds(5))
        }
        return nil
    }

    /// libvirt resumes the source when the answer to its last step is lost, though the target has taken over: two copies
    /// then write to the same disks, and one must stop at once.
    private func pauseTwin(_ seen: Seen) async throws(HypervisorError) -> AgentCore.Reconciliation {
        let order = seen.order
        // The target was asked after this host: the VM may have left since, or be on its way.
        guard try await hypervisor.presence(of: order.vm) == .running else {
            return .undecided(reason: "\(seen.doubt); \(order.vmName) is changing hosts")
        }
        do {
            try await hypervisor.suspend(order.vm)
        } catch {
            return inDoubt(
                seen,
                "\(order.vmName) RUNS ON BOTH \(host) and \(order.target): stop one of the two at once (\(error))"
            )
        }
        let reason =
            "\(seen.doubt); \(order.vmName) ran on both \(host) and \(order.target), so the copy on \(host) was paused: "
            + "check the VM's disks, then 'virsh destroy' the copy that is to go"
        return .notMoved(OrderFailure(kind: .inDoubt, reason: reason, runsOn: order.target))
    }

    private func stayed(_ seen: Seen, _ words: String? = nil) -> AgentCore.Reconciliation {
        let reason = "\(seen.doubt); \(seen.order.vmName) is on \(host)\(words.map { "; \($0)" } ?? "")"
        return .notMoved(OrderFailure(kind: .interrupted, reason: reason, runsOn: host))
    }

    private func inDoubt(_ seen: Seen, _ words: String) -> AgentCore.Reconciliation {
        .notMoved(OrderFailure(kind: .inDoubt, reason: "\(seen.doubt); \(words)", runsOn: nil))
    }

    private func moved(_ seen: Seen, _ words: String) -> AgentCore.Reconciliation {
        let outcome = MigrationOutcome(
            startedAt: seen.startedAt,
            endedAt: .byTheWallClock,
            note: "\(seen.doubt); \(words)"
        )
        let channel = seen.order.channel
        let verdict = channel == .plain ? Evidence.Verdict.unprotected : .unknown
        return .completed(
            AgentCore.Completion(outcome: outcome, evidence: Evidence(channel: channel, verdict: verdict))
        )
    }

    /// Removes what a move whose last step was not confirmed leaves here: a paused copy, or a definition that could be
    /// started a second time.
    private func discardLeftover(of vm: VMID) async throws(HypervisorError) {
        do { try await hypervisor.discardHandedOver(vm) } catch {
            // Nothing was left: the usual case.
            guard error.kind == .noSuchVM else { throw error }
        }
    }
}
