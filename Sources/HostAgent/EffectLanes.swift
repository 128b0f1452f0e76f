// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Synchronization

typealias AgentEvents = BoundedQueue<AgentCore.Event.Kind>

/// Which effects wait for which.
///
/// The rule: effects are put into lanes in the order in which the core returned them; in a lane each begins when the one
/// before it has ended, and no lane waits for another. Reports are one lane. Each order's effects are one, so that a
/// long one, such as a migration, holds up no other order. A cancellation must reach the migration that is running, so
/// it has a lane beside it. What people are told is logged at once.
final class EffectLanes: Sendable {
    enum Lane: Hashable {
        case ledger
        case order(OrderID)
        case cancellation(OrderID)
    }

    /// What waits in each lane that somebody is working on.
    private let waiting = Mutex<[Lane: [AgentCore.Effect]]>([:])

    /// Returns whether the lane was empty, so that somebody has to work on it now.
    func put(_ effect: AgentCore.Effect, in lane: Lane) -> Bool {
        waiting.withLock { waiting in
            let isNew = waiting[lane] == nil
            waiting[lane, default: []].append(effect)
            return isNew
        }
    }

    /// The effect that begins now; `nil` when the lane is empty, or the agent ends.
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
    /// `nil` for what is done at once.
    init?(_ effect: AgentCore.Effect) {
        switch effect {
        case .append: self = .ledger
        case .cancelMigration(let order): self = .cancellation(order.id)
        case .readRequirements(let order), .checkTarget(let order, _, _), .shut(let order), .migrate(let order, _),
            .look(let order), .apply(_, let order), .seal(let order, _), .unseal(let order, _), .release(let order),
            .recall(let order), .restore(let order), .takeBack(let order), .forget(let order):
            self = .order(order.id)
        case .announce: return nil
        }
    }
}
