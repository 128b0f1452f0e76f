// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Balancing

/// Orders that their sources do not end.
extension ControllerCore {
    /// How long the source of a running order may be silent before an operator is asked to end the order.
    static let silence: Duration = .seconds(600)

    /// Time after its last question for which the source of a failed move may still search: its agent may be down for
    /// `needed`, plus a day for differing clocks.
    public static let searched: Duration = AgentCore.needed + .seconds(86400)

    /// Returns when the source of an order was last heard of.
    func heard(from state: OrderState) -> Instant {
        max(hosts[state.order.source]?.latest?.at ?? state.changedAt, state.changedAt)
    }

    /// Returns whether an order has not begun in time: agents refuse it from now on.
    func isExpired(_ state: OrderState, at instant: Instant) -> Bool {
        state.stage < .running && !state.hasUnseenBeginning
            && instant > state.order.latestBeginning + policy.staleAfter
    }

    /// Returns the order as a move that has ended; `nil` if it has not.
    ///
    /// An order that no agent took up counts as failed: otherwise it would be repeated at once. An offline move changes
    /// no load, and after it neither host nor VM needs a rest.
    func pastMove(_ state: OrderState, at instant: Instant) -> PastMove? {
        guard !state.order.isOffline else { return nil }
        var past = state.pastMove
        past.refusal?.hypervisor = refusing[state.order.id]
        if state.stage.isFinal { return past }
        guard isExpired(state, at: instant) else { return nil }
        past.endedAt = state.order.latestBeginning + policy.staleAfter
        return past
    }

    /// Returns whether the operator has been told that an order expired, which its target reports later.
    func isKnownToHaveExpired(_ state: OrderState) -> Bool {
        guard case .expired? = announced[.order(state.order.id)] else { return false }
        return state.failure?.kind == .expired
    }

    /// Returns the news of orders that have expired, or whose source is silent.
    func unendedOrders(at instant: Instant) -> [ControllerNews] {
        orders.values.sorted { $0.order.id < $1.order.id }.compactMap { state in
            let (id, name, path) = (state.order.id, state.order.vmName, state.move.path)
            if isExpired(state, at: instant) {
                return .expired(id, vmName: name, path, isAccepted: state.stage > .submitted)
            }
            guard state.mayBeRunning, instant - heard(from: state) > Self.silence else { return nil }
            return .sourceSilent(
                id,
                vmName: name,
                path,
                limit: Self.silence,
                target: targetsWord(on: state, at: instant)
            )
        }
    }

    /// Ends the running orders of removed hosts whose VMs run at the target.
    ///
    /// The agent of a removed host cannot report any more. If its target does not run the VM, an operator decides.
    func endOrdersOfRemovedHosts(at instant: Instant, effects: inout [Effect]) {
        guard !removed.isEmpty else { return }
        for state in orders.values.sorted(by: { $0.order.id < $1.order.id }) {
            let order = state.order
            guard state.mayBeRunning, removed.contains(order.source),
                targetsWord(on: state, at: instant) == .runs
            else { continue }
            let reason =
                "\(order.source) was removed from the cluster, and \(order.target) reports that it runs \(order.vmName)"
            effects.append(.end(order.id, on: order.target, reason: reason))
        }
    }

    /// States for failed moves to removed hosts that their VMs are at the source, whose search for a second copy ends.
    ///
    /// The agent of a removed host cannot answer any more.
    func endSearchesOfRemovedHosts(at instant: Instant, effects: inout [Effect]) {
        guard !removed.isEmpty else { return }
        for state in orders.values.sorted(by: { $0.order.id < $1.order.id }) {
            let order = state.order
            guard state.mayLeaveSearch, !state.isSearchEnded, instant >= state.changedAt,
                removed.contains(order.target),
                !removed.contains(order.source)
            else { continue }
            let reason = "\(order.target) was removed from the cluster, and \(order.vmName) stayed on \(order.source)"
            effects.append(.end(order.id, on: order.source, reason: reason))
        }
    }

    /// Returns what the target's newest sample says about the VM of an order.
    private func targetsWord(on state: OrderState, at instant: Instant) -> TargetsWord {
        let target = state.order.target
        guard !trust.isDistrusted(target), let history = hosts[target], let sample = trust.corrected(history).latest,
            instant - sample.at <= policy.staleAfter, let vms = sample.vms
        else { return .unknown }
        guard let vm = vms.first(where: { $0.id == state.order.vm }) else { return .absent }
        return vm.state == .running ? .runs : .doesNotRun
    }
}

/// What the target of an order reports about the order's VM.
public enum TargetsWord: String, Codable, Sendable {
    case runs, doesNotRun, absent
    /// It does not report, or its claims are contradicted.
    case unknown
}
