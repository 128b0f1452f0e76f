// SPDX-License-Identifier: Apache-2.0
internal import Coordination
import Fleet

/// Hosts that crash during a migration and stay away, and the operator who ends their orders.
extension World {
    /// Time after which an operator gives a host up, in milliseconds.
    private static let patience: Int64 = 60_000
    /// Time after which every agent must have applied the operator's end, in milliseconds.
    private static let applied: Int64 = 30_000

    func lose(_ host: Int) {
        note("\(hostNames[host]) is lost")
        lost.insert(host)
        crash(host)
        queue.put(.endOrders(host: host), at: now + Self.patience)
    }

    /// Ends the fault: the host boots.
    func comeBack(_ host: Int) {
        guard lost.remove(host) != nil else { return }
        queue.put(.boot(host: host), at: now + settings.physics.bootTime.wholeMilliseconds)
    }

    /// Ends the running orders of a lost host, as far as the operator can see where their VMs are.
    func endOrders(of host: Int) {
        guard lost.contains(host) else { return }
        guard reachesLedger(.operator), !activeFaults.values.contains(.ledgerFull), let controller else {
            queue.put(.endOrders(host: host), at: now + 5000)
            return
        }
        var mustWait = false
        let running = controller.orders.values.filter {
            $0.stage == .running && $0.order.source == hostNames[host] && !invariants.ended.contains($0.order.id)
        }
        for order in running.map(\.order).sorted(by: { $0.id < $1.id }) {
            guard let vm = vmNumbers[order.vm], let target = hostNumbers[order.target] else { continue }
            guard hosts[target].isUp, hosts[target].libvirtIsUp else {
                mustWait = true
                continue
            }
            let copy = hosts[target].copy(of: vm)
            end(order, on: copy.map { !$0.isIncoming } == true ? target : host)
        }
        if mustWait { queue.put(.endOrders(host: host), at: now + 10_000) }
    }

    private func end(_ order: MigrationOrder, on host: Int) {
        note("operator ends order \(order.id) on \(hostNames[host])")
        let record = OrderRecord.end(id: order.id, on: hostNames[host], at: clock(.operator), reason: "host lost")
        publish(
            SimulatedLedger.Record(at: now, signedAt: clock(.operator), writer: .operator, entry: .order(record))
        )
        invariants.endedByOperator(order.id)
        queue.put(.checkEnd(order), at: now + Self.applied)
    }

    /// Checks that no agent that can read the ledger still carries out an order that an operator has ended.
    func checkEnd(of order: MigrationOrder) {
        // Clocks that are wrong by much hold records back.
        guard !invariants.holdsRecords else { return }
        func canRead(_ node: Node) -> Bool { reachesLedger(node) && held[node] == nil && !waiting.contains(node) }
        for host in agents.indices where canRead(.agent(host)) {
            // The source of a sealed move follows its handover.
            if order.channel == .sealed, hostNames[host] == order.source { continue }
            guard let state = agents[host].core?.orders[order.id], !state.stage.isFinal else { continue }
            invariants.stillHeld(order, by: hostNames[host].rawValue, at: now)
        }
        if canRead(.controller), let state = controller?.orders[order.id], !state.stage.isFinal {
            invariants.stillHeld(order, by: "the controller", at: now)
        }
    }
}
