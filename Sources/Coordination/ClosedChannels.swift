// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The channels that leaks have closed, as the ledger tells it: each until a person clears the leak's order.
///
/// A leak closes its channel between the two hosts in both directions: the same configuration of the same two hosts
/// serves both. What is known here does not depend on the order in which records are read, and is kept when the orders
/// themselves are forgotten.
public struct ClosedChannels: Sendable, Equatable {
    /// One leak that nobody has cleared.
    public struct Closure: Codable, Sendable, Equatable {
        /// The order whose evidence says so.
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
    /// What was cleared: it may be read before the leak.
    private var cleared: Set<Clearance> = []

    /// A person's word on one order is for the hosts and the channel that he has read of.
    private struct Clearance: Sendable, Hashable {
        var order: OrderID
        var channel: ClosedChannel
    }

    public init() {}

    /// What is closed now, in the order of time.
    public var closures: [Closure] {
        leaks.values.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
    }

    public var channels: Set<ClosedChannel> { Set(leaks.values.map { ClosedChannel(HostPair($0.path), $0.channel) }) }

    /// The leak that closes a channel on a path, in either direction; `nil`: it is open.
    public func closure(of channel: Channel, on path: Path) -> Closure? {
        let pair = HostPair(path)
        return closures.first { $0.channel == channel && HostPair($0.path) == pair }
    }

    /// Takes in what has become of an order; returns whether that closes a channel that was open.
    ///
    /// The channel is the order's: a host cannot have another one closed by what it writes into its evidence.
    @discardableResult
    mutating func take(_ life: OrderLife) -> Bool {
        let order = life.order
        guard life.evidence?.verdict == .leak, leaks[order.id] == nil else { return false }
        let closure = Closure(order: order.id, path: life.move.path, channel: order.channel, at: life.changedAt)
        guard !cleared.contains(Clearance(order: order.id, channel: closure.closed)) else { return false }
        let isNew = self.closure(of: order.channel, on: life.move.path) == nil
        leaks[order.id] = closure
        return isNew
    }

    /// Takes in what an earlier life knew; the ledger may have forgotten it.
    mutating func restore(_ closures: [Closure]) {
        for closure in closures where !cleared.contains(Clearance(order: closure.order, channel: closure.closed)) {
            leaks[closure.order] = closure
        }
    }

    /// Takes in a person's word that the leaks of these orders are dealt with.
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

    /// For people who want to know why nothing moves.
    /// What reports and people are told of it.
    var reason: ClosedByLeak { ClosedByLeak(path: path, channel: channel, order: order) }
    public var words: String { reason.text }
}
