// SPDX-License-Identifier: Apache-2.0
import Fleet

/// What the source's agent saw when it accepted an order, and needs when the move begins.
struct Preparation: Sendable, Equatable {
    /// The target's gates, before they were opened for the move.
    var probes: [GateProbe]
    var memoryBytes: UInt64
}

/// The preparations of orders that were accepted and have not begun.
actor Preparations {
    private var kept: [OrderID: Preparation] = [:]

    func keep(_ preparation: Preparation, for order: OrderID) {
        // An order that its target refused leaves an entry behind.
        if kept.count >= 64 { kept = [:] }
        kept[order] = preparation
    }

    func take(_ order: OrderID) -> Preparation? { kept.removeValue(forKey: order) }
}
