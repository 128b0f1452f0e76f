// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Feeds recorded events to a controller with another policy, to show which orders it would have given.
///
/// After the first different order the result is hypothetical, because the recorded fleet followed the recorded orders.
/// Orders that only this controller gives are not executed, and expire.
public struct PolicyTrial: Sendable {
    /// The orders of both controllers at one recorded event.
    public struct Outcome: Sendable, Equatable {
        /// Orders that both controllers give.
        public var same: [MigrationOrder] = []
        /// Recorded orders that this controller does not give.
        public var dropped: [MigrationOrder] = []
        /// Orders that only this controller gives.
        public var new: [MigrationOrder] = []
    }

    private var core: ControllerCore
    /// This core's order for each recorded order with the same move at the same event.
    private var own: [OrderID: OrderID] = [:]

    /// `core`: a fresh core with the other policy.
    public init(_ core: ControllerCore) { self.core = core }

    public mutating func take(_ step: RecordedStep<ControllerCore>) -> Outcome {
        let recorded = step.effects.compactMap(\.order)
        var unmatched = core.handle(translated(step.event)).compactMap(\.order)
        var outcome = Outcome()
        for order in recorded {
            if let index = unmatched.firstIndex(where: { $0.move == order.move }) {
                own[order.id] = unmatched.remove(at: index).id
                outcome.same.append(order)
            } else {
                outcome.dropped.append(order)
            }
        }
        outcome.new = unmatched
        return outcome
    }

    /// Returns the event with this core's identifiers in place of the recorded ones.
    ///
    /// This core's orders need their own identifiers. Otherwise two different orders could share a name, and the core
    /// would take reports of the recorded order as reports of its own.
    private func translated(_ event: ControllerCore.Event) -> ControllerCore.Event {
        switch event {
        case .tick(let at, let identifier): return .tick(at: at, identifier: "\(identifier)~")
        case .order(.migrate(var order)):
            order.id = own[order.id] ?? order.id
            return .order(.migrate(order: order))
        case .order(.cancel(let id, let at, let reason)):
            return .order(.cancel(id: own[id] ?? id, at: at, reason: reason))
        case .order(.end(let id, let host, let at, let reason)):
            return .order(.end(id: own[id] ?? id, on: host, at: at, reason: reason))
        case .report(var report, let at):
            report.order = own[report.order] ?? report.order
            return .report(report, at: at)
        case .submitted(let id, let result): return .submitted(own[id] ?? id, result)
        case .order(.clear(let path, let channel, let orders, let at, let reason)):
            let orders = orders.map { own[$0] ?? $0 }
            return .order(.clear(path: path, channel: channel, orders: orders, at: at, reason: reason))
        case .order(.takeOver), .closures, .statistics, .enrolled, .removed, .sample, .caughtUp, .ledgerLost,
            .lockTaken, .lockLost:
            return event
        }
    }
}

extension ControllerCore.Effect {
    /// The order that the effect writes, if it writes one.
    public var order: MigrationOrder? { if case .submit(let order) = self { order } else { nil } }
}

extension MigrationOrder {
    fileprivate var move: Move { Move(vm: vm, source: source, target: target) }
}
