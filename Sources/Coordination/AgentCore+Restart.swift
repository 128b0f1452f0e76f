// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// What becomes of orders that an earlier incarnation of this agent had begun.
extension AgentCore {
    /// Takes over the orders in the ledger, once all of its history has been read.
    mutating func catchUp(at instant: Instant, effects: inout [Effect]) {
        guard !isCaughtUp else { return }
        isCaughtUp = true
        let inherited = work.values.sorted { $0.place < $1.place }.map(\.state)
        for state in inherited {
            inheritSealed(state, at: instant)
            if state.order.source == host { inherit(state, at: instant, effects: &effects) }
        }
        inheritGates(of: inherited.filter { $0.order.source != host }, at: instant, effects: &effects)
        for id in pending { advance(id, at: instant, effects: &effects) }
    }

    /// Takes the orders that this host's journal shows as begun.
    mutating func take(begun orders: [OrderID], at instant: Instant, effects: inout [Effect]) {
        begunBefore = Set(orders)
        guard isCaughtUp else { return }
        for id in orders.sorted() {
            guard let item = work[id], item.order.source == host, item.order.channel != .sealed,
                item.state.startedAt == nil, case .idle = item.activity
            else { continue }
            work[id]?.state.noteBeginning()
            if let state = work[id]?.state { inherit(state, at: instant, effects: &effects) }
        }
    }

    /// Takes over an order from an earlier incarnation of this agent.
    private mutating func inherit(_ state: OrderState, at instant: Instant, effects: inout [Effect]) {
        let id = state.order.id
        // For a sealed order the journal on this host's disk may have more than the ledger.
        if case .sealed? = work[id]?.activity { return }
        switch state.stage {
        // A newer version may have begun the move, or the journal shows that this host has.
        case .submitted where hasUnseenBeginning(state), .accepted where hasUnseenBeginning(state),
            .prepared where hasUnseenBeginning(state):
            searchInherited(state, at: instant)
        case .submitted, .done: break
        case .accepted, .prepared:
            // `running` is written before a move begins: this one has not.
            fail(id, .interrupted, .agentRestarted, at: instant)
        case .running:
            if mutations.contains(.beginsAgain) {
                migrate(id, effects: &effects)
            } else {
                searchInherited(state, at: instant)
            }
        case .failed where state.isInDoubt:
            work[id]?.activity = .inquiry(Inquiry(.restart, of: state, at: instant))
        case .failed:
            // The earlier incarnation may have ended before the target had answered that it runs no copy.
            guard state.startedAt != nil || hasUnseenBeginning(state),
                work[id]?.isClear(since: state.changedAt) == false,
                ledgerTime(instant) - state.changedAt < Self.needed || state.statedEnd != nil,
                !state.isSearchEnded
            else { break }
            seekDuplicate(of: id, at: instant)
        }
    }

    /// Returns whether the order's move may have begun although no report that this version understands shows it.
    func hasUnseenBeginning(_ state: OrderState) -> Bool {
        state.hasUnseenBeginning && !mutations.contains(.overlooksUnknownSteps)
    }

    /// Begins the search for the VM of a running order on which this incarnation does not work.
    mutating func searchInherited(_ state: OrderState, at instant: Instant) {
        let id = state.order.id
        // The ledger has lost the step that the journal still shows: without it, other hosts would ignore the search.
        if begunBefore.contains(id), state.startedAt == nil {
            report(id, .running(progress: .beginning), at: instant)
        }
        let state = work[id]?.state ?? state
        work[id]?.activity = .inquiry(Inquiry(.restart, of: state, at: instant, quiet: limits.jobLock))
    }

    /// Takes over a sealed order from an earlier incarnation of this agent.
    mutating func inheritSealed(_ state: OrderState, at instant: Instant) {
        guard let move = SealedMove(inheriting: state, host: host, at: instant) else { return }
        work[state.order.id]?.mayHoldImage = true
        if state.isOpen { work[state.order.id]?.beginSealed(move) }
    }

    /// Closes at start-up the gates that an earlier incarnation may have left open.
    ///
    /// - Accepted and running orders: their gates close as usual. The target checks an accepted order again, and the
    ///   source of a running order may still have to connect.
    /// - Prepared orders: the gate closes now, unless another order may share it. If the source begins the move later,
    ///   the move fails and the VM stays there.
    /// - Ended orders: the gate closes as usual. After an hour nftables has closed it.
    private mutating func inheritGates(of states: [OrderState], at instant: Instant, effects: inout [Effect]) {
        let states = states.filter(\.order.channel.usesMigrationPorts)
        for state in states {
            switch state.stage {
            case .submitted, .prepared: continue
            case .accepted, .running: work[state.order.id]?.mayHaveGateOpen = true
            case .done, .failed:
                guard instant <= state.order.latestBeginning + Self.remembered else { continue }
                work[state.order.id]?.mayHaveGateOpen = true
            }
        }
        for state in states where state.stage == .prepared {
            if isGateNeeded(besides: state.order, at: instant) {
                work[state.order.id]?.mayHaveGateOpen = true
            } else {
                shut(state.order, effects: &effects)
            }
        }
    }
}
