// SPDX-License-Identifier: Apache-2.0

/// Two hosts, regardless of direction.
public struct HostPair: Codable, Sendable, Hashable, CustomStringConvertible {
    /// In the order of their names.
    public let first: HostName
    public let second: HostName

    public init(_ one: HostName, _ other: HostName) {
        first = min(one, other)
        second = max(one, other)
    }

    public init(_ path: Path) { self.init(path.source, path.target) }

    public var description: String { "\(first) and \(second)" }
}

/// A channel that no move may use between two hosts, in either direction.
public struct ClosedChannel: Codable, Sendable, Hashable {
    public var pair: HostPair
    public var channel: Channel
    public init(_ pair: HostPair, _ channel: Channel) {
        self.pair = pair
        self.channel = channel
    }
}
