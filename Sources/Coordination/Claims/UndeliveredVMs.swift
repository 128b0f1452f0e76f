// SPDX-License-Identifier: Apache-2.0
import Balancing
import Fleet

/// VMs whose move the source has reported as done, and that the target has not listed since.
///
/// The target of a move lists its VM before the move ends. If it does not, one of the two hosts lies or has lost the
/// VM. Neither proves it, so this only alerts the operator. A VM that is listed once and disappears later was shut off
/// or removed.
struct UndeliveredVMs: Sendable {
    private struct Move: Sendable {
        let order: MigrationOrder
        /// When the end was read, by the controller's clock.
        let since: Instant
        /// When the move ended, by the source's clock.
        let endedAt: Instant
        /// The target's samples since then.
        var samples = 0
    }

    private var awaited: [VMID: Move] = [:]
    private static let patience: Duration = .seconds(60)

    /// Applies a change of an order's state, at an instant of the controller's clock.
    mutating func take(_ state: OrderState, at instant: Instant) {
        let vm = state.order.vm
        switch state.stage {
        case .done: awaited[vm] = Move(order: state.order, since: instant, endedAt: state.changedAt)
        // A later move has begun, so the VM was found.
        case .running where awaited[vm]?.order.id != state.order.id: awaited[vm] = nil
        case .submitted, .accepted, .prepared, .running, .failed: break
        }
    }

    /// Forgets moves whose end was read before an instant.
    mutating func forget(olderThan horizon: Instant) { awaited = awaited.filter { $0.value.since > horizon } }

    /// Applies the newest sample of a host.
    mutating func take(_ sample: LoadSample) {
        guard !awaited.isEmpty, let vms = sample.vms else { return }
        for vm in vms where awaited[vm.id]?.order.target == sample.host { awaited[vm.id] = nil }
        for vm in awaited.keys where awaited[vm]?.order.target == sample.host { awaited[vm]?.samples += 1 }
    }

    /// Returns the contradictions, in the order of the hosts and the VMs.
    func doubts(_ hosts: [HostName: HostHistory], at instant: Instant) -> [Doubt] {
        var found: [HostName: [Contradiction]] = [:]
        for vm in awaited.keys.sorted() {
            guard let move = awaited[vm], move.samples >= 2, instant - move.since >= Self.patience else {
                continue
            }
            let (order, endedAt) = (move.order, move.endedAt)
            let (source, target, name) = (order.source, order.target, order.vmName)
            let holders = hosts.values.filter { host in
                guard let latest = host.latest, host.name != source || latest.at > endedAt else { return false }
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
}
