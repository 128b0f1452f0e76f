// SPDX-License-Identifier: Apache-2.0
import Fleet

/// The gates on hosts' migration ports: without its own, no migration gets in.
extension World {
    /// Opens it for the order's time, after which it closes by itself as an nftables element with a timeout does.
    func openGate(for order: MigrationOrder, on host: Int) {
        let lifetime = order.latestBeginning - order.issuedAt
        hosts[host].gates[order.id] = now + lifetime.wholeMilliseconds + Self.gateTimeout
    }

    func shutGate(of order: MigrationOrder, on host: Int) { hosts[host].gates[order.id] = nil }

    func isGateOpen(for order: MigrationOrder, on host: Int) -> Bool { (hosts[host].gates[order.id] ?? 0) > now }

    private static let gateTimeout: Int64 = 300_000

    /// Looks for gates whose time is over, as often as the host is sampled.
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

    /// Whether another order from the same source has not ended: channels share gates, so theirs may be one.
    private func isShared(_ order: OrderID, on host: Int) -> Bool {
        guard let order = invariants.asked[order] else { return false }
        return hosts[host].gates.keys.contains { id in
            guard id != order.id, !invariants.ended.contains(id), let other = invariants.asked[id] else { return false }
            return other.source == order.source
        }
    }
}
