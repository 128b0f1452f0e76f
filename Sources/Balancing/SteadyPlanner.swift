// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Plans for the running fleet from its history, and only what the history bears out.
///
/// A move that neither relieves a host that is judged overloaded nor is asked for by a rule or maintenance must be a
/// gain by the figures of both windows, each taken alone, and the hosts must have been watched for a short window since
/// their last move: what is not confirmed stays where it is.
public struct SteadyPlanner: Sendable {
    public let policy: Policy
    private let planner: Planner

    /// `improvement` as in `Planner`.
    public init(policy: Policy, improvement: Int? = nil) {
        self.policy = policy
        planner = improvement.map { Planner(policy: policy, improvement: $0) } ?? Planner(policy: policy)
    }

    public func plan(for snapshot: FleetSnapshot, seed: UInt64 = 0, shouldStop: () -> Bool = { false }) -> Plan {
        steady(FleetModel(snapshot, policy: policy), snapshot: snapshot, seed: seed, shouldStop: shouldStop).plan
    }

    /// The plan, and the model in which what the windows did not confirm stays.
    public func steady(
        _ model: FleetModel,
        snapshot: FleetSnapshot,
        seed: UInt64 = 0,
        shouldStop: () -> Bool = { false }
    ) -> (plan: Plan, model: FleetModel) {
        var model = model
        guard policy.planning.strategy == .balance else {
            return (planner.plan(for: model, seed: seed, shouldStop: shouldStop), model)
        }
        let unknown = hostsHardlyKnown(snapshot)
        var plan = planner.plan(for: model, seed: seed, shouldStop: shouldStop)
        let windows = [(HistoryWindow.short, policy.shortWindow), (.long, policy.longWindow)].map { window, length in
            (model: FleetModel(snapshot, policy: policy, over: window), length: length)
        }
        for round in 1...Self.rounds {
            var refused: [VMID: String] = [:]
            for move in plan.optionalMoves {
                guard let host = [move.source, move.target].first(where: { unknown[$0] != nil }) else { continue }
                refused[move.vm] =
                    "\(host) has been watched for \(seconds(unknown[host] ?? .zero)) since its last change, and "
                    + "\(seconds(policy.shortWindow)) are wanted before a move that is not needed"
            }
            for window in windows {
                for vm in planner.unconfirmed(plan, in: window.model) {
                    refused[vm] = "by the figures of the last \(seconds(window.length)) alone its move gains too little"
                }
            }
            guard !refused.isEmpty else { break }
            if round == Self.rounds {
                // Each round has new candidates: then only what must be is done.
                let overloaded = Set(plan.judgements.filter { $0.verdict == .overloaded }.map(\.host))
                for vm in model.vms where !overloaded.contains(vm.host) {
                    refused[vm.id] = "the short and the long window do not agree on what is better"
                }
            }
            for index in model.vms.indices where model.vms[index].staysBecause == nil {
                model.vms[index].staysBecause = refused[model.vms[index].id]
            }
            plan = planner.plan(for: model, seed: seed, shouldStop: shouldStop)
        }
        return (plan, model)
    }

    private static let rounds = 4

    /// Hosts whose history since their last change is shorter than the short window, and how long it is.
    private func hostsHardlyKnown(_ snapshot: FleetSnapshot) -> [HostName: Duration] {
        let index = MoveIndex(snapshot, policy: policy)
        var unknown: [HostName: Duration] = [:]
        for host in snapshot.hosts {
            let samples = host.settledWindow(since: index.settledAt[host.name], policy: policy).samples
            let length = samples.first.flatMap { first in samples.last.map { $0.at - first.began } } ?? .zero
            if length < policy.shortWindow { unknown[host.name] = length }
        }
        return unknown
    }
}

extension Plan {
    /// The moves that no rule, maintenance or lasting overload asks for.
    var optionalMoves: [PlannedMove] {
        let verdicts = Dictionary(judgements.map { ($0.host, $0.verdict) }, uniquingKeysWith: { first, _ in first })
        // After a stop on the way a VM still moves for the sake of the host that it began on.
        let homes = Dictionary(moves.map { ($0.vm, $0.source) }, uniquingKeysWith: { first, _ in first })
        func isOptional(_ move: PlannedMove) -> Bool {
            switch move.purpose {
            case .drain, .rule, .reserve: false
            case .contention: verdicts[homes[move.vm] ?? move.source] != .overloaded
            case .balance, .room, .consolidate: true
            }
        }
        // A stop on the way is as necessary as the way.
        let necessary = Set(moves.filter { !isOptional($0) }.map(\.vm))
        return moves.filter { !necessary.contains($0.vm) }
    }
}

extension Planner {
    /// The VMs of optional moves that are, by this model's figures, no gain within the plan.
    func unconfirmed(_ plan: Plan, in model: FleetModel) -> [VMID] {
        let optional = plan.optionalMoves
        guard !optional.isEmpty else { return [] }
        let space = PlacementSpace(model, policy: policy, planning: planning)
        let start = Placement(space)
        let after = Placement(space, after: plan)
        let numbers = Dictionary(model.vms.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        let search = PlacementSearch(after, objective: Objective(space), effort: .max, shouldStop: { false })
        return optional.map(\.vm).filter { id in
            guard let vm = numbers[id] else { return true }
            return search.gain(of: space.unitOfVM[vm], from: start) < Objective.leastGain
        }
    }
}
