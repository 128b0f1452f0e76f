// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Plans for the running fleet from its history.
///
/// It uses the expected demand of the VMs (`LoadForecast`). A host that is not overloaded gives no VM away until it has
/// been observed for a short window since its last move. Maintenance and rules are exempt.
public struct SteadyPlanner: Sendable {
    public let policy: Policy
    private let planner: Planner

    /// `improvement` as in `Planner`; the default is lower because the fleet is planned again before the second wave.
    public init(policy: Policy, improvement: Int = 250_000) {
        self.policy = policy
        planner = Planner(policy: policy, improvement: improvement, triesEverySwap: false)
    }

    public func plan(for snapshot: FleetSnapshot, seed: UInt64 = 0, shouldStop: () -> Bool = { false }) -> Plan {
        let isBalance = policy.planning.strategy == .balance
        let index = index(of: snapshot)
        let model = FleetModel(snapshot, index: index, over: isBalance ? .short : .both)
        return steady(model, present: model, snapshot, index, seed: seed, shouldStop: shouldStop).plan
    }

    /// Returns the plan, and the model it was made for, in which the VMs that must wait stay.
    public func steady(
        _ model: FleetModel,
        snapshot: FleetSnapshot,
        seed: UInt64 = 0,
        shouldStop: () -> Bool = { false }
    ) -> (plan: Plan, model: FleetModel) {
        let index = index(of: snapshot)
        let present = FleetModel(snapshot, index: index, over: .short)
        return steady(model, present: present, snapshot, index, seed: seed, shouldStop: shouldStop)
    }

    private func index(of snapshot: FleetSnapshot) -> MoveIndex {
        MoveIndex(snapshot, policy: policy, twice: snapshot.runningTwice(policy: policy))
    }

    private func steady(
        _ model: FleetModel,
        present: FleetModel,
        _ snapshot: FleetSnapshot,
        _ index: MoveIndex,
        seed: UInt64,
        shouldStop: () -> Bool
    ) -> (plan: Plan, model: FleetModel) {
        guard policy.planning.strategy == .balance else {
            return (planner.plan(for: model, seed: seed, shouldStop: shouldStop), model)
        }
        var model = model.expecting(present, snapshot, policy: policy)
        let unknown = hostsWithShortHistory(snapshot, index)
        let overloaded = Set(model.hosts.filter { $0.judgement?.verdict == .overloaded }.map(\.name))
        let ruled = Set(model.rules.flatMap(\.vms))
        for number in model.vms.indices where model.vms[number].staysBecause == nil {
            let host = model.vms[number].host
            guard let length = unknown[host], !overloaded.contains(host), !ruled.contains(model.vms[number].id),
                !policy.maintenance.contains(host)
            else { continue }
            model.vms[number].staysBecause = .hostHardlyWatched(
                host,
                seconds: length.wholeSeconds,
                wantedSeconds: policy.shortWindow.wholeSeconds
            )
        }
        return (planner.plan(for: model, seed: seed, shouldStop: shouldStop), model)
    }

    /// Returns the hosts whose history since their last change is shorter than the short window, and its length.
    private func hostsWithShortHistory(_ snapshot: FleetSnapshot, _ index: MoveIndex) -> [HostName: Duration] {
        var unknown: [HostName: Duration] = [:]
        for host in snapshot.hosts {
            let part = host.settledPart(since: index.settledAt[host.name], policy: policy)
            let length =
                part.isEmpty ? .zero : host.samples[part.upperBound - 1].at - host.samples[part.lowerBound].began
            if length < policy.shortWindow { unknown[host.name] = length }
        }
        return unknown
    }
}
