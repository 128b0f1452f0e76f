// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Which channel a move takes: the policy's preferred one of those that both hosts have and that are open between them,
/// unless another has been much faster on that path.
public struct ChannelChoice: Sendable {
    /// Of the policy's, in its order; never `plain`.
    private let allowed: [Channel]
    /// Of the allowed ones, those that each host's latest sample offers.
    private let offers: [HostName: Set<Channel>]
    private let closed: Set<ClosedChannel>
    private let throughputs: [Path: [Channel: Double]]

    /// Another channel than the preferred one must have got this much more on the path.
    ///
    /// Throughputs of single moves differ by some ten per cent with what else the hosts do; a channel's protection is
    /// worth more than that.
    public static let muchFaster = 1.5

    public init(_ snapshot: FleetSnapshot, policy: Policy) {
        self.init(snapshot, policy: policy, throughputs: MoveIndex(snapshot, policy: policy).throughputs)
    }

    init(_ snapshot: FleetSnapshot, policy: Policy, throughputs: [Path: [Channel: Double]]) {
        let allowed = policy.channels.filter { $0 != .plain }
        self.allowed = allowed
        self.throughputs = throughputs
        closed = snapshot.closedChannels
        // An agent that does not say is older than the other channels.
        let silent = Set(allowed).intersection([.ipsec])
        offers = Dictionary(
            snapshot.hosts.compactMap { host in
                host.latest.map { (host.name, $0.channels.map { Set(allowed).intersection($0) } ?? silent) }
            },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// The channel for a move on a path; `nil` where there is none.
    public func channel(on path: Path) -> Channel? {
        let open = open(on: path)
        guard let preferred = open.first else { return nil }
        guard let measured = throughputs[path], let its = measured[preferred] else { return preferred }
        // A VM is not stopped for speed's sake.
        let alike = open.filter { $0.technique == preferred.technique }
        let fastest = alike.max { (measured[$0] ?? 0) < (measured[$1] ?? 0) } ?? preferred
        return (measured[fastest] ?? 0) >= its * Self.muchFaster ? fastest : preferred
    }

    /// Why there is no channel on a path.
    public func reasonForNone(on path: Path) -> NoChannel {
        func offer(_ host: HostName) -> [Channel] { allowed.filter { offers[host]?.contains($0) == true } }
        let pair = HostPair(path)
        return NoChannel(
            path: path,
            allowed: allowed,
            ofSource: offer(path.source),
            ofTarget: offer(path.target),
            closed: allowed.filter { closed.contains(ClosedChannel(pair, $0)) }
        )
    }

    /// Whether a host has a channel that is allowed at all.
    func hasAny(_ host: HostName) -> Bool { offers[host]?.isEmpty == false }

    /// Paths between hosts that have allowed channels, of which none is common to both and open.
    var closedPaths: Set<Path> {
        var paths: Set<Path> = []
        func close(_ one: HostName, _ other: HostName) {
            paths.insert(Path(source: one, target: other))
            paths.insert(Path(source: other, target: one))
        }
        // Nearly all hosts of a fleet have the same: who is like another is looked at once.
        let alike = Dictionary(grouping: offers.keys.sorted()) { offers[$0] ?? [] }
        for (one, hosts) in alike where !one.isEmpty {
            for (other, others) in alike where !other.isEmpty && one.isDisjoint(with: other) {
                for host in hosts { for another in others { close(host, another) } }
            }
        }
        for pair in Set(closed.map(\.pair)) where hasAny(pair.first) && hasAny(pair.second) {
            if open(on: Path(source: pair.first, target: pair.second)).isEmpty { close(pair.first, pair.second) }
        }
        return paths
    }

    /// What the channel that would be taken has got on each path; a path on which it was not measured is left out.
    var bandwidths: [Path: Double] {
        var bandwidths: [Path: Double] = [:]
        for (path, measured) in throughputs {
            bandwidths[path] = channel(on: path).flatMap { measured[$0] }
        }
        return bandwidths
    }

    /// In the policy's order.
    private func open(on path: Path) -> [Channel] {
        guard let here = offers[path.source], let there = offers[path.target] else { return [] }
        let pair = HostPair(path)
        return allowed.filter {
            here.contains($0) && there.contains($0) && !closed.contains(ClosedChannel(pair, $0))
        }
    }
}
