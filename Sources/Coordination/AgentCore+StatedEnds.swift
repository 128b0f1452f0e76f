// SPDX-License-Identifier: Apache-2.0
import Fleet

/// Applies records that end an order in place of its source.
extension AgentCore {
    mutating func take(_ end: StatedEnd, of id: OrderID, at instant: Instant) {
        guard !mutations.contains(.ignoresEnds) else { return }
        if case .foreign? = others[id] { others[id] = nil }
        guard let order = work[id]?.order else { return }
        work[id]?.state.end(end)
        noteEnd(of: id, by: nil, at: instant)
        // The search for a second copy ends, whatever the target answers later.
        if isCaughtUp, order.source == host, let item = work[id], item.state.isSearchEnded, item.isSeekingDuplicate {
            work[id]?.finishMachine()
        }
        guard isCaughtUp, let item = work[id], item.state.statedEnd != nil else { return }
        // The source is back and searches. It continues as a source that comes back later.
        guard case .inquiry(let inquiry) = item.activity, !inquiry.isAfterEnd else { return }
        let cause: Inquiry.Cause = item.state.stage == .done ? .returned : .failed
        work[id]?.activity = .inquiry(Inquiry(cause, of: item.state, at: instant))
    }
}
