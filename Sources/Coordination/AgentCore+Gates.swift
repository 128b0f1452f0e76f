// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The gates that this host opens as the target of orders: none stays open for longer than its order needs it.
///
/// A gate closes by itself after a while (nftables' timeout); this is so that it need not come to that.
extension AgentCore {
    /// Closes every gate whose order has ended, runs, or can no longer begin, once no other order needs it.
    mutating func shutGates(at instant: Instant, effects: inout [Effect]) {
        guard isCaughtUp, !gates.isEmpty else { return }
        for id in gates.sorted() {
            guard let life = orders[id] else {
                gates.remove(id)
                continue
            }
            guard isGateOver(life, at: instant), !isGateNeeded(besides: life.order, at: instant) else { continue }
            shut(life.order, effects: &effects)
        }
    }

    mutating func shut(_ order: MigrationOrder, effects: inout [Effect]) {
        gates.remove(order.id)
        if mutations.contains(.leavesGatesOpen) { return }
        effects.append(.shut(order))
    }

    private func isGateOver(_ life: OrderLife, at instant: Instant) -> Bool {
        switch life.stage {
        // A source's hypervisor that was asked in time may still wait for the VM's job lock.
        case .submitted, .accepted, .prepared: instant > life.order.latestBeginning + limits.jobLock
        // Every connection of a migration is there before its first byte of memory.
        case .running: (life.progress?.bytesTransferred ?? 0) > 0
        case .done, .failed: true
        }
    }

    /// Closes at start-up what an earlier life of this agent may have opened and may have had no time to close.
    ///
    /// An order that is accepted is checked again, and one that runs may be about to connect: theirs close as usual. One
    /// that its source has not begun by now fails there, and its VM stays. What ended more than an hour ago has closed by
    /// itself.
    mutating func inheritGate(of life: OrderLife, at instant: Instant, effects: inout [Effect]) {
        guard life.order.channel.usesMigrationPorts else { return }
        switch life.stage {
        case .submitted: return
        case .accepted, .running: gates.insert(life.order.id)
        case .prepared: shut(life.order, effects: &effects)
        case .done, .failed:
            guard instant <= life.order.latestBeginning + Self.remembered else { return }
            gates.insert(life.order.id)
        }
    }
}

extension AgentCore {
    /// Whether another order from the same source over the same channel has still to come through: the gate is theirs
    /// together.
    ///
    /// `Escort` knows that, too, but not what an earlier life of this agent has opened.
    private func isGateNeeded(besides order: MigrationOrder, at instant: Instant) -> Bool {
        gates.contains { id in
            guard id != order.id, let other = orders[id], other.order.source == order.source,
                other.order.channel == order.channel
            else { return false }
            return [.accepted, .prepared, .running].contains(other.stage) && !isGateOver(other, at: instant)
        }
    }
}

extension MigrationOrder {
    /// Why it is not for a VM that is defined like this.
    func reasonNotFor(definition: String?) -> String? {
        guard let definition else {
            return self.definition == nil
                ? nil : "the digest of \(vmName)'s definition, which the order names, cannot be made here"
        }
        guard let wanted = self.definition else {
            return "the order names no definition of \(vmName): it was given before one was known; give it again"
        }
        return wanted == definition
            ? nil : "\(vmName)'s definition changed since the order was given: look at the change, then order it again"
    }
}
