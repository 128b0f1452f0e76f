// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// Compares the outcomes of moves, as their sources report them, with the samples of both hosts.
///
/// The target of a move lists its VM before the move ends. If it does not list it for a minute after the end, one of
/// the two hosts lies or has lost the VM. The same holds if it lists the VM at first, and never from 45 s after the end
/// on: a power cut takes what libvirt had not synced. Neither proves it, so this only alerts the operator. A VM that
/// disappears later was removed.
struct OutcomeCheck {
    private let hosts: [HostName: HostHistory]
    private static let patience: Duration = .seconds(60)
    /// Time after a move in which a power cut can take the definition; file systems write names within it.
    private static let fragile: Duration = .seconds(45)

    init(_ hosts: [HostName: HostHistory]) { self.hosts = hosts }

    /// Returns the contradictions, in the order of the hosts and the VMs.
    func doubts(_ orders: some Sequence<OrderState>) -> [Doubt] {
        var lastMoves: [VMID: OrderState] = [:]
        for state in orders where state.stage == .running || state.stage == .done {
            if let known = lastMoves[state.order.vm],
                (known.changedAt, known.order.id) >= (state.changedAt, state.order.id)
            {
                continue
            }
            lastMoves[state.order.vm] = state
        }
        var found: [HostName: [Contradiction]] = [:]
        for vm in lastMoves.keys.sorted() {
            // Where an operator has ended the order, no host has reported the outcome.
            guard let state = lastMoves[vm], state.stage == .done, state.statedEnd == nil, isMissing(vm, after: state)
            else { continue }
            let (source, target, name) = (state.order.source, state.order.target, state.order.vmName)
            let holders = hosts.values.filter { host in
                guard let latest = host.latest, host.name != source || latest.at > state.changedAt else { return false }
                return latest.vms?.contains { $0.id == vm && $0.state.isActive } == true
            }
            if holders.contains(where: { $0.name == source }) {
                found[source, default: []].append(.stillRunsVM(name: name, movedTo: target))
            } else if holders.isEmpty {
                found[target, default: []].append(.missingVM(name: name, movedFrom: source))
            }
        }
        return found.sorted { $0.key < $1.key }.map { Doubt(host: $0.key, contradictions: $0.value) }
    }

    /// Returns whether the target has listed its VMs for a minute since the end of a move, or since shortly after it, and
    /// this VM never.
    private func isMissing(_ vm: VMID, after state: OrderState) -> Bool {
        let endedAt = state.changedAt
        guard let samples = hosts[state.order.target]?.samples, let first = samples.first, let last = samples.last,
            // Samples are kept for half an hour, after two minutes one a minute.
            first.at <= endedAt, last.at - endedAt >= Self.patience, last.vms?.contains(where: { $0.id == vm }) == false
        else { return false }
        let lists = samples.reversed().prefix { $0.at >= endedAt }.compactMap { sample in
            sample.vms.map { (at: sample.at, isListed: $0.contains { $0.id == vm }) }
        }
        // The newest come first.
        let without = lists.prefix { !$0.isListed }
        guard without.count >= 2 else { return false }
        guard let listed = lists.first(where: \.isListed) else { return true }
        // After two minutes, samples between these two may be missing.
        let goneAt = without.last?.at ?? last.at
        return listed.at - endedAt <= Self.fragile && goneAt - endedAt <= Self.patience
            && last.at - listed.at >= Self.patience
    }
}
