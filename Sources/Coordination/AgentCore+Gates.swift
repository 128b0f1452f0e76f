// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The gates that this host opens as the target of orders: none stays open for longer than its order needs it.
///
/// A gate also closes by itself after a timeout of nftables; this closes it earlier.
extension AgentCore {
    /// Closes every gate whose order has ended, runs, or can no longer begin, once no other order needs it.
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
        // A source's hypervisor that was asked in time may still wait for the VM's job lock.
        case .submitted, .accepted, .prepared: instant > state.order.latestBeginning + limits.jobLock
        // Every connection of a migration is there before its first byte of memory.
        case .running: (state.progress?.bytesTransferred ?? 0) > 0
        case .done, .failed: true
        }
    }

    /// Closes at start-up the gates that an earlier incarnation may have opened and not closed.
    ///
    /// An order that is accepted is checked again, and one that runs may be about to connect: theirs close as usual. One
    /// that its source has not begun by now fails there, and its VM stays; its gate waits for another's that it may be one
    /// with. What ended more than an hour ago has closed by itself.
    mutating func inheritGates(of states: [OrderState], at instant: Instant, effects: inout [Effect]) {
        let states = states.filter(\.order.channel.usesMigrationPorts)
        for state in states {
            switch state.stage {
            case .submitted, .prepared: continue
            case .accepted, .running: work[state.order.id]?.mayHaveGateOpen = true
            case .done, .failed:
                guard instant <= state.order.latestBeginning + Self.remembered else { continue }
                work[state.order.id]?.mayHaveGateOpen = true
            }
        }
        for state in states where state.stage == .prepared {
            if isGateNeeded(besides: state.order, at: instant) {
                work[state.order.id]?.mayHaveGateOpen = true
            } else {
                shut(state.order, effects: &effects)
            }
        }
    }
}

extension AgentCore {
    /// Whether another order from the same source has still to come through: the gate may be theirs together, as channels
    /// share gates.
    ///
    /// `Escort` knows which do, but not what an earlier incarnation of this agent has opened.
    private func isGateNeeded(besides order: MigrationOrder, at instant: Instant) -> Bool {
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
