// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Whether an order may be followed: in its time, over an open channel, with no other move of the VM, over a free path.
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
        if instant > order.expires {
            let waitsFor = work[order.id]?.waitsFor
            return (.expired, waitsFor.map { .pathInUse($0, target: order.target) } ?? .expiredUnseen)
        }
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
        if let other = others.first(where: { hasBegunWork($0) && $0.order.vm == order.vm }) {
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
        return nil
    }

    /// Returns the order for which this one waits: it uses the path, or comes before this one and waits for the same path.
    ///
    /// Evidence counts all bytes between the two hosts during a move, whatever its channel. With two moves at once, the
    /// bytes of one would cover a leak of the other. A sealed move uses no path.
    ///
    /// Evaluated at each tick, until the order expires. An order waits for one that has begun, or for one before it, so that
    /// nothing waits in a circle.
    func orderToWaitFor(_ item: OrderWork, at instant: Instant) -> OrderID? {
        guard item.order.channel != .sealed, !mutations.contains(.sharesPaths) else { return nil }
        let others = work.values.filter { other in
            other.order.id != item.order.id && other.order.channel != .sealed
                && other.state.move.path == item.state.move.path && (!other.state.stage.isFinal || other.isMigrating)
        }
        let user = others.filter(hasBegunWork).min { $0.place < $1.place }
        let earlier = others.filter { other in
            // One whose time has not come must not delay others.
            other.place < item.place && (other.order.notBefore.map { $0 <= instant } ?? true)
        }
        return (user ?? earlier.min { $0.place < $1.place })?.order.id
    }

    /// Whether this host has accepted an order that has not ended, or may have begun its move.
    private func hasBegunWork(_ item: OrderWork) -> Bool {
        item.state.stage > .submitted || item.isBusy || hasUnseenBeginning(item.state)
    }
}

extension OrderState {
    /// Whether the order's move uses the path between its hosts, according to the ledger.
    ///
    /// Its source may know more: a move goes on after `evenkeel end`, and a newer version may have begun one.
    public var usesPath: Bool { stage > .submitted && !stage.isFinal && order.channel != .sealed }
}
