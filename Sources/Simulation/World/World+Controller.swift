// SPDX-License-Identifier: Apache-2.0
internal import Balancing
internal import Coordination
import Fleet

/// The shell of the controller, in virtual time.
extension World {
    func feedController(_ event: (Instant) -> ControllerCore.Event) {
        guard controller != nil else { return }
        let event = event(clock(.controller))
        // In place, because a copy of the core would copy the fleet's history.
        let effects = controller?.handle(event) ?? []
        var delay: Int64 = 0
        let orders = effects.compactMap(\.order)
        let isFrozen = !orders.isEmpty && freezeController(with: orders)
        for effect in effects {
            switch effect {
            case .announce(let news):
                if case .runningTwice(let twice) = news { checkClaims(of: twice) }
                if log != nil, news.kind != .judgement, news.kind != .refusal { note("controller: \(news)") }
            // No simulated host is removed from the cluster.
            case .end: break
            case .takeOver(let record):
                queue.put(.takeOver(incarnation: controllerIncarnation, record), at: now + 10)
            case .submit where isFrozen: break
            case .submit(let order):
                // One after the other: the controller can crash in between.
                delay += 10
                queue.put(.submit(incarnation: controllerIncarnation, order), at: now + delay)
            }
        }
    }

    /// Checks that a VM of which only one copy runs is not left where it is because of another host's claim.
    private func checkClaims(of twice: RunningTwice) {
        guard twice.holder == nil, let vm = vmNumbers[twice.vm], invariants.runners[vm] == 1 else { return }
        for host in hosts.indices where twice.hosts.contains(hostNames[host]) && claimsFalsely(vm, on: host) {
            invariants.believed(hostNames[host], name: name(vm), at: now)
        }
    }

    func decide(incarnation: Int) {
        guard incarnation == controllerIncarnation, controller != nil else { return }
        queue.put(.decide(incarnation: incarnation), at: now + settings.decisionInterval.wholeMilliseconds)
        let name = "d" + String(now - Self.epoch, radix: 36)
        feedController { .tick(at: $0, identifier: name) }
    }

    func submit(_ order: MigrationOrder, incarnation: Int) {
        guard incarnation == controllerIncarnation, controller != nil else { return }
        let isNew = invariants.asked[order.id] == nil
        invariants.asked[order.id] = order
        let result = write(.order(.migrate(order: order)), by: .controller)
        let written = reachesLedger(.controller) && !activeFaults.values.contains(.ledgerFull)
        if written, isNew {
            invariants.submitted(order, at: now)
        } else if isNew {
            invariants.asked[order.id] = nil
        }
        let submission: ControllerCore.Submission =
            switch result {
            case .written, .unmarked: .written
            case .failed: written ? .unknown : .failed
            case .refused: .failed
            }
        feedController { _ in .submitted(order.id, submission) }
    }

    func takeOver(_ record: OrderRecord, incarnation: Int) {
        guard incarnation == controllerIncarnation, controller != nil, let epoch = record.epoch else { return }
        guard reachesLedger(.controller), !activeFaults.values.contains(.ledgerFull) else { return }
        note("controller takes over with epoch \(epoch)")
        invariants.tookOver(epoch)
        _ = write(.order(record), by: .controller)
    }

    /// Keeps the orders of a controller that freezes now, and starts another one; returns false if none freezes.
    private func freezeController(with orders: [MigrationOrder]) -> Bool {
        let faults = activeFaults.filter { $0.value == .controllerFrozen && frozenOrders[$0.key] == nil }
        guard let fault = faults.keys.min() else { return false }
        note("controller freezes before it has written \(orders.count) orders")
        frozenOrders[fault] = orders
        stopController()
        start(.controller)
        return true
    }

    /// Writes the orders of a controller that was frozen; then it reads that another one has taken over, and ends.
    func thawController(_ fault: Int) {
        for order in frozenOrders.removeValue(forKey: fault) ?? [] {
            guard reachesLedger(.controller), !activeFaults.values.contains(.ledgerFull) else { return }
            invariants.asked[order.id] = order
            invariants.submitted(order, at: now)
            _ = write(.order(.migrate(order: order)), by: .controller)
        }
    }

    /// The hardware of all hosts, with the cores rounded up.
    var enrolledHardware: [HostName: EnrolledHardware] {
        var hardware: [HostName: EnrolledHardware] = [:]
        for (name, host) in zip(hostNames, hosts) {
            hardware[name] = EnrolledHardware(
                cpus: Int(host.spec.cores.rounded(.up)),
                memoryBytes: host.spec.memoryBytes
            )
        }
        return hardware
    }

    // MARK: policy

    private func steady(_ policy: Policy) -> SteadyPlanner {
        settings.improvement.map { SteadyPlanner(policy: policy, improvement: $0) } ?? SteadyPlanner(policy: policy)
    }

    /// Evenkeel's planner, a baseline, or a planner with a deliberate error.
    var planning: ControllerCore.Planning {
        let policy = settings.policy
        if let baseline = settings.baseline {
            return BaselinePlanning(baseline: baseline, policy: policy, seed: settings.seed).plan
        }
        let planner = steady(policy)
        let mutations = settings.mutations
        if mutations.contains(.neverSettles) {
            let baseline = ToAndFro()
            return BaselinePlanning(baseline: baseline, policy: policy, seed: settings.seed, usesHistory: true).plan
        }
        if mutations.contains(.ignoresLimits) {
            var unlimited = policy
            unlimited.movesPerHost = 1000
            unlimited.movesInAll = 1000
            let planner = steady(unlimited)
            return { planner.plan(for: $0) }
        }
        if mutations.contains(.forgetsMoves) {
            let baseline = ToAndFro()
            return BaselinePlanning(baseline: baseline, policy: policy, seed: settings.seed).plan
        }
        return { planner.plan(for: $0) }
    }
}

/// Moves a random VM to another random host without any reason.
private struct ToAndFro: Baseline {
    let name = "to-and-fro"
    let summary = "moves VMs forever"
    let usualInterval: Duration? = nil
    func moves(in fleet: BaselineFleet, random: inout SplitMix64) -> [BaselineMove] {
        let movable = fleet.vms.indices.filter { fleet.vms[$0].mayMove && fleet.hosts[fleet.vms[$0].host].isUsable }
        guard !movable.isEmpty else { return [] }
        let vm = movable[random.below(movable.count)]
        let targets = fleet.hosts.indices.filter { $0 != fleet.vms[vm].host && fleet.hosts[$0].isUsable }
        guard !targets.isEmpty else { return [] }
        return [BaselineMove(vm: vm, target: targets[random.below(targets.count)])]
    }
}
