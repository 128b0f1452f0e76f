// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Synchronization

typealias AgentEvents = BoundedQueue<AgentCore.Event.Kind>

/// The order in which effects are executed.
///
/// Effects enter lanes in the order in which the core returned them. In a lane, an effect begins when the one before
/// has ended; no lane waits for another. Reports share one lane. Each order has a lane of its own, so that a long
/// effect, such as a migration, delays no other order. A cancellation must reach the running migration, so it has a
/// separate lane. Alerts are logged at once.
final class EffectLanes: Sendable {
    enum Lane: Hashable {
        case ledger
        case order(OrderID)
        case cancellation(OrderID)
    }

    /// The waiting effects of each lane that has a worker.
    private let waiting = Mutex<[Lane: [AgentCore.Effect]]>([:])

    /// Appends the effect; returns whether the lane was empty, so that it needs a worker now.
    func put(_ effect: AgentCore.Effect, in lane: Lane) -> Bool {
        waiting.withLock { waiting in
            let isNew = waiting[lane] == nil
            waiting[lane, default: []].append(effect)
            return isNew
        }
    }

    /// Returns the effect that begins now; `nil` when the lane is empty, or the agent ends.
    func next(in lane: Lane) -> AgentCore.Effect? {
        waiting.withLock { waiting in
            guard !Task.isCancelled, waiting[lane]?.isEmpty == false else {
                waiting[lane] = nil
                return nil
            }
            return waiting[lane]?.removeFirst()
        }
    }
}

extension EffectLanes.Lane {
    /// The lane of an effect; `nil` if it is executed at once.
    init?(_ effect: AgentCore.Effect) {
        switch effect {
        case .append: self = .ledger
        case .cancelMigration(let order): self = .cancellation(order.id)
        case .readRequirements(let order), .checkTarget(let order, _, _), .shut(let order), .migrate(let order, _),
            .look(let order), .startWithHost(let order), .apply(_, let order), .seal(let order, _),
            .unseal(let order, _), .release(let order),
            .recall(let order), .restore(let order), .takeBack(let order, _), .forget(let order, _):
            self = .order(order.id)
        case .locate(let id, _), .confirm(let id, _): self = .order(id)
        case .announce: return nil
        }
    }
}
