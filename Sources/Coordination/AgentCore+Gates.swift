// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Closes the gates that this host opens as the target of orders, as soon as their orders no longer need them.
///
/// An nftables timeout closes each gate, too, but later.
extension AgentCore {
    /// Closes every gate whose order has ended, transfers memory, or can no longer begin, unless another order needs
    /// it.
    mutating func shutGates(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp else { return }
        for id in work.values.filter(\.mayHaveGateOpen).map(\.order.id).sorted() {
            guard let state = work[id]?.state, isGateOver(state, at: instant),
                !isGateNeeded(besides: state.order, at: instant)
            else { continue }
            shut(state.order, effects: &effects)
        }
    }

    mutating func shut(_ order: MigrationOrder, effects: inout [Effect]) {
        work[order.id]?.mayHaveGateOpen = false
        if mutations.contains(.leavesGatesOpen) { return }
        effects.append(.shut(order))
    }

    private func isGateOver(_ state: OrderState, at instant: Instant) -> Bool {
        switch state.stage {
        // The source's hypervisor may still wait for the VM's job lock, although it was called in time.
        case .submitted, .accepted, .prepared: instant > state.order.latestBeginning + limits.jobLock
        // A migration opens all of its connections before it sends the first byte of memory.
        case .running: (state.progress?.bytesTransferred ?? 0) > 0
        case .done, .failed: true
        }
    }
}

extension AgentCore {
    /// Returns whether another order from the same source still needs a gate, which may be the same one.
    ///
    /// Some channels share gates. `Escort` knows which, but not which gates an earlier incarnation has opened.
    func isGateNeeded(besides order: MigrationOrder, at instant: Instant) -> Bool {
        work.values.contains { other in
            guard other.mayHaveGateOpen, other.order.id != order.id, other.order.source == order.source else {
                return false
            }
            return [.accepted, .prepared, .running].contains(other.state.stage) && !isGateOver(other.state, at: instant)
        }
    }
}

extension MigrationOrder {
    /// Returns why the order does not match the VM's present definition.
    func reasonNotFor(definition: String?) -> FailureReason.Obstacle? {
        guard let definition else {
            return self.definition == nil
                ? nil : .digestUnknown(vm: vmName)
        }
        guard let wanted = self.definition else {
            return .definitionNotNamed(vm: vmName)
        }
        return wanted == definition
            ? nil : .definitionChanged(vm: vmName)
    }
}
