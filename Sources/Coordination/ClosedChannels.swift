// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The channels that leaks have closed, each until an operator clears the leak's order.
///
/// A leak closes its channel between the two hosts in both directions, because the same configuration serves both. The
/// result does not depend on the order in which records are read. Closures remain when the orders are forgotten.
public struct ClosedChannels: Sendable, Equatable {
    /// One leak that has not been cleared.
    public struct Closure: Codable, Sendable, Equatable {
        /// The order whose evidence shows the leak.
        public var order: OrderID
        public var path: Path
        public var channel: Channel
        public var at: Instant
        public init(order: OrderID, path: Path, channel: Channel, at: Instant) {
            self.order = order
            self.path = path
            self.channel = channel
            self.at = at
        }
    }

    private var leaks: [OrderID: Closure] = [:]
    /// Cleared orders: a clearance may be read before its leak.
    private var cleared: Set<Clearance> = []

    /// A clearance applies only to the hosts and the channel that the operator named.
    private struct Clearance: Sendable, Hashable {
        var order: OrderID
        var channel: ClosedChannel
    }

    public init() {}

    /// The current closures, oldest first.
    public var closures: [Closure] {
        leaks.values.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
    }

    public var channels: Set<ClosedChannel> { Set(leaks.values.map { ClosedChannel(HostPair($0.path), $0.channel) }) }

    /// Returns the leak that closes a channel on a path, in either direction; `nil` if it is open.
    public func closure(of channel: Channel, on path: Path) -> Closure? {
        let pair = HostPair(path)
        return closures.first { $0.channel == channel && HostPair($0.path) == pair }
    }

    /// Applies the end of an order; returns whether it closes a channel that was open.
    ///
    /// The channel is the order's: a host cannot close another one through its evidence.
    @discardableResult
    mutating func take(_ state: OrderState) -> Bool {
        let order = state.order
        guard state.evidence?.verdict == .leak, leaks[order.id] == nil else { return false }
        let closure = Closure(order: order.id, path: state.move.path, channel: order.channel, at: state.changedAt)
        guard !cleared.contains(Clearance(order: order.id, channel: closure.closed)) else { return false }
        let isNew = self.closure(of: order.channel, on: state.move.path) == nil
        leaks[order.id] = closure
        return isNew
    }

    /// Adds the closures of an earlier incarnation; the ledger may no longer have their records.
    mutating func restore(_ closures: [Closure]) {
        for closure in closures where !cleared.contains(Clearance(order: closure.order, channel: closure.closed)) {
            leaks[closure.order] = closure
        }
    }

    /// Applies an operator's clearance of the leaks of these orders.
    mutating func clear(_ path: Path, _ channel: Channel, orders: [OrderID]) {
        let closed = ClosedChannel(HostPair(path), channel)
        for order in orders {
            cleared.insert(Clearance(order: order, channel: closed))
            if leaks[order]?.closed == closed { leaks[order] = nil }
        }
    }
}

extension ClosedChannels.Closure {
    var closed: ClosedChannel { ClosedChannel(HostPair(path), channel) }

    /// The reason that reports contain.
    var reason: ClosedByLeak { ClosedByLeak(path: path, channel: channel, order: order) }
    /// Describes the closure and how to reopen the channel.
    public var text: String { reason.text }
}
