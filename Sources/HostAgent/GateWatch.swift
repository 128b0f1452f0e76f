// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What this agent saw of targets' gates when it accepted orders, kept until their moves' reports tell it.
actor GateWatch {
    private var seen: [OrderID: [GateProbe]] = [:]

    func keep(_ probes: [GateProbe], for order: OrderID) {
        // An order that was accepted and then refused by its target leaves an entry behind.
        if seen.count >= 64 { seen = [:] }
        seen[order] = probes
    }

    func take(_ order: OrderID) -> [GateProbe]? { seen.removeValue(forKey: order) }
}
