// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Whether an order may be followed: in its time, over an open channel, with no other move of the VM or on the path.
extension AgentCore {
    /// Clock difference up to which an order's not-before is not enforced.
    static let clockTolerance: Duration = .seconds(60)

    /// Returns the closure of the order's channel, if a leak has closed it; orders of operators are no exception.
    func reasonChannelIsClosed(_ order: MigrationOrder) -> FailureReason.Obstacle? {
        if mutations.contains(.forgetsLeaks) { return nil }
        let path = Path(source: order.source, target: order.target)
        return closed.closure(of: order.channel, on: path).map { .channelClosed($0.reason) }
    }

    /// Returns the epoch that the ledger shows before the order and that is higher than the order's own.
    ///
    /// The position in the ledger decides: what a controller had ordered before another one took over is valid.
    func supersession(of order: MigrationOrder) -> UInt64? {
        guard order.issuer == .controller, let own = order.epoch, own < epoch else { return nil }
        return epoch
    }

    /// Returns why an order is refused whose controller had been superseded; both hosts check it.
    func reasonSuperseded(_ order: MigrationOrder) -> FailureReason.Obstacle? {
        guard let epoch = work[order.id]?.supersededBy, !mutations.contains(.ignoresEpochs) else { return nil }
        return .controllerSuperseded(epoch: order.epoch ?? 0, by: epoch)
    }

    /// Returns why this source refuses an order.
    func reasonToRefuse(
        _ order: MigrationOrder,
        at instant: Instant
    ) -> (OrderFailure.Kind, FailureReason.Obstacle)? {
        if instant > order.expires { return (.expired, .expiredUnseen) }
        if let notBefore = order.notBefore, notBefore - instant > Self.clockTolerance {
            return (.refused, .tooEarly(notBefore - instant))
        }
        if let reason = reasonSuperseded(order) { return (.refused, reason) }
        if let reason = reasonChannelIsClosed(order) { return (.refused, reason) }
        if !order.channel.carries(order.technique) {
            return (.refused, .wrongTechnique(order.technique, order.channel))
        }
        if order.source == order.target { return (.refused, .sameHost) }
        // A move can continue here although a record has ended its order.
        let others = work.values.filter { $0.order.id != order.id && (!$0.state.stage.isFinal || $0.isMigrating) }
            .sorted { $0.place < $1.place }
        let begun = others.filter { $0.state.stage > .submitted || $0.isBusy }
        if let other = begun.first(where: { $0.order.vm == order.vm }) {
            return (.refused, .vmIsMoving(other.order.id))
        }
        // An operator may know more.
        let searched = work.values.first {
            $0.order.vm == order.vm && $0.order.id != order.id
                && ($0.isSearching(against: order, at: instant) || mutations.contains(.pinsForever) && $0.isInquiring)
        }
        if let searched, order.issuer == .controller { return (.refused, .vmIsSearched(searched.order.id)) }
        let ownPlace = work[order.id]?.place ?? 0
        if let newer = others.first(where: { $0.order.vm == order.vm && $0.place > ownPlace }) {
            return (.refused, .newerOrder(newer.order.id))
        }
        // Evidence counts all bytes between the two hosts during a move, whatever its channel. With two moves at once,
        // the bytes of one would cover a leak of the other.
        let path = Path(source: host, target: order.target)
        // A sealed move uses no path, therefore it cannot distort the evidence of others.
        let sharing = begun.first { $0.state.move.path == path && $0.order.channel != .sealed }
        if order.channel != .sealed, let other = sharing {
            return (.refused, .pathInUse(other.order.id, target: order.target))
        }
        return nil
    }
}
