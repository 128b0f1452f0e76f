// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Whether the source of a failed move may search for a second copy.
extension OrderState {
    /// Whether the move has failed after its start with the VM at the source, which may search for a second copy.
    public var mayLeaveSearch: Bool {
        reported.stage == .failed && startedAt != nil && reported.failure?.mayLeaveSearch(of: order) == true
    }

    /// Returns whether a controller may forget the order: none of its hosts works on it any more.
    ///
    /// A source pursues a doubt until it is resolved, and a search for as long as `CopySearch` shows.
    func isOver(endedSince: Instant, searchedSince: Instant) -> Bool {
        guard stage.isFinal, !isInDoubt else { return false }
        guard mayLeaveSearch, !isSearchEnded else { return changedAt < endedSince }
        return search.isOver(failedAt: changedAt, endedSince: endedSince, searchedSince: searchedSince)
    }

    /// Whether a record states, after the source's report that it has the VM, that this is so: no search is needed.
    public var isSearchEnded: Bool {
        guard let end = [stated, searchEnd].compactMap(\.self).max(by: { $0.at < $1.at }), end.host == order.source,
            reported.stage == .failed, !isReportedInDoubt, reported.failure?.whereabouts == .at(order.source)
        else { return false }
        return end.at >= reported.changedAt
    }
}
