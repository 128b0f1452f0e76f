// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Feeds the state machines of orders and executes their actions.
extension AgentCore {
    mutating func looked(_ id: OrderID, _ observation: CopyObservation, at instant: Instant, effects: inout [Effect]) {
        switch work[id]?.activity {
        case .inquiry: inquiry(id, at: instant, &effects) { $0.looked(observation, $1) }
        case .sealed: sealed(id, at: instant, &effects) { $0.looked(observation, $1, $2) }
        case .checkingCopy: lookedAtCopy(id, observation, at: instant, effects: &effects)
        case .idle, .readingRequirements, .beginning, .migrating, .confirming, nil: break
        }
    }

    mutating func applied(_ id: OrderID, _ result: CopyAction.Result, at instant: Instant, effects: inout [Effect]) {
        switch work[id]?.activity {
        case .inquiry: inquiry(id, at: instant, &effects) { $0.applied(result, $1) }
        case .sealed: sealed(id, at: instant, &effects) { $0.discarded(result, $1, $2) }
        case .checkingCopy: appliedToCopy(id, result, effects: &effects)
        case .idle where work[id]?.withdrawal == .trying: withdrawn(id, result, at: instant, effects: &effects)
        case .idle, .readingRequirements, .beginning, .migrating, .confirming, nil: break
        }
    }

    /// Checks where the order's VM is, once the next check is due.
    mutating func inquire(_ id: OrderID, at instant: Instant, effects: inout [Effect]) {
        guard let item = work[id] else { return }
        if isOvertaken(item), item.state.stage.isFinal {
            work[id]?.finishMachine()
            return
        }
        inquiry(id, at: instant, &effects) { $0.advance(at: $1.now) }
    }

    /// Returns whether a newer move of the VM has begun: it decides from now on, and has a search of its own.
    func isOvertaken(_ item: OrderWork) -> Bool {
        work.values.contains {
            $0.order.vm == item.order.vm && $0.place > item.place && $0.state.startedAt != nil
        }
    }

    /// Checks whether a failed move left a second copy on the target.
    mutating func seekDuplicate(of id: OrderID, at instant: Instant) {
        guard let state = work[id]?.state else { return }
        work[id]?.activity = .inquiry(Inquiry(.failed, of: state, at: instant))
    }

    mutating func inquiry(
        _ id: OrderID,
        at instant: Instant,
        _ effects: inout [Effect],
        _ step: (inout Inquiry, OrderContext) -> [OrderAction]
    ) {
        guard case .inquiry(var inquiry)? = work[id]?.activity else { return }
        var context = context(at: instant)
        context.movedTo = work[id]?.movedTo
        let actions = step(&inquiry, context)
        work[id]?.activity = .inquiry(inquiry)
        perform(actions, of: id, at: instant, effects: &effects)
    }

    mutating func sealed(
        _ id: OrderID,
        at instant: Instant,
        _ effects: inout [Effect],
        _ step: (inout SealedMove, OrderState, OrderContext) -> [OrderAction]
    ) {
        guard let item = work[id], case .sealed(var move) = item.activity else { return }
        move.isSeenElsewhere = item.isSeenElsewhere
        let actions = step(&move, item.state, context(at: instant))
        work[id]?.activity = .sealed(move)
        perform(actions, of: id, at: instant, effects: &effects)
    }

    private func context(at instant: Instant) -> OrderContext {
        OrderContext(host: host, limits: limits, mutations: mutations, now: instant)
    }

    private mutating func perform(
        _ actions: [OrderAction],
        of id: OrderID,
        at instant: Instant,
        effects: inout [Effect]
    ) {
        for action in actions {
            switch action {
            case .effect(let effect): effects.append(effect)
            case .report(let step): report(id, step, at: instant)
            case .end(.success(let completion)): confirm(id, completion, at: instant)
            case .end(.failure(let failure)): end(id, .failure(failure), at: instant)
            case .cancelMigration: cancelMigration(id, effects: &effects)
            case .advance: advance(id, at: instant, effects: &effects)
            case .seekDuplicate: seekDuplicate(of: id, at: instant)
            case .finish: work[id]?.finishMachine()
            case .acceptReturn: work[id]?.isReturnAccepted = true
            }
        }
    }

    /// Removes keys and images of sealed orders that this host no longer needs, but never the only image of a VM.
    mutating func forgetSealed(effects: inout [Effect]) {
        guard isCaughtUp else { return }
        let held = work.values.filter { $0.mayHoldImage && !$0.isBusy && $0.state.isHandoverOver(for: host) }
        for item in held.sorted(by: { $0.order.id < $1.order.id }) {
            work[item.order.id]?.finishSealed()
            if item.state.isImageUseless(for: host) {
                effects.append(.forget(item.order, belongsHere: item.state.endedHere(host) ? true : nil))
            } else {
                work[item.order.id]?.mayHoldImage = true
            }
        }
    }
}
