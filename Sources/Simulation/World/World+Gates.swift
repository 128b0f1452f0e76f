// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The gates of the hosts' migration ports: a migration needs the open gate of its order.
extension World {
    /// Opens the gate for an order until the order expires, plus a timeout like that of an nftables element.
    func openGate(for order: MigrationOrder, on host: Int) {
        let lifetime = order.latestBeginning - order.issuedAt
        hosts[host].gates[order.id] = now + lifetime.wholeMilliseconds + Self.gateTimeout
    }

    func shutGate(of order: MigrationOrder, on host: Int) { hosts[host].gates[order.id] = nil }

    func isGateOpen(for order: MigrationOrder, on host: Int) -> Bool { (hosts[host].gates[order.id] ?? 0) > now }

    private static let gateTimeout: Int64 = 300_000

    /// Closes gates at their timeout, and checks at each sample of the host that none is open for too long.
    func watchGates(of host: Int) {
        guard !hosts[host].gates.isEmpty else { return }
        hosts[host].gates = hosts[host].gates.filter { $0.value > now }
        let node = Node.agent(host)
        guard agents[host].core != nil, reachesLedger(node), held[node] == nil else { return }
        for order in hosts[host].gates.keys.sorted() where !isShared(order, on: host) {
            invariants.gateIsOpen(
                order,
                on: host,
                milliseconds: settings.sampleInterval.wholeMilliseconds,
                at: now
            )
        }
    }

    /// Returns whether another order from the same source, which has not ended, may share the gate.
    private func isShared(_ order: OrderID, on host: Int) -> Bool {
        guard let order = invariants.asked[order] else { return false }
        return hosts[host].gates.keys.contains { id in
            guard id != order.id, !invariants.ended.contains(id), let other = invariants.asked[id] else { return false }
            return other.source == order.source
        }
    }
}
