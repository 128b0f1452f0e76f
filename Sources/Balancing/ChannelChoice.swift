// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The choice of a channel for each move: the first of `policy.channels` that both hosts offer and no leak has closed.
///
/// Another channel is chosen if it has been much faster on that path.
public struct ChannelChoice: Sendable {
    /// The channels of the policy, in its order; never `plain`.
    private let allowed: [Channel]
    /// The allowed channels that each host's latest sample offers.
    private let offers: [HostName: Set<Channel>]
    private let closed: Set<ClosedChannel>
    private let throughputs: [Path: [Channel: Double]]

    /// How many times faster than the preferred channel another must have been on the path.
    ///
    /// Throughputs of single moves differ by about ten per cent, depending on the hosts' other load. The protection of
    /// the preferred channel is worth more than that.
    public static let muchFaster = 1.5

    public init(_ snapshot: FleetSnapshot, policy: Policy) {
        self.init(snapshot, policy: policy, throughputs: MoveIndex(snapshot, policy: policy).throughputs)
    }

    init(_ snapshot: FleetSnapshot, policy: Policy, throughputs: [Path: [Channel: Double]]) {
        let allowed = policy.channels.filter { $0 != .plain }
        self.allowed = allowed
        self.throughputs = throughputs
        closed = snapshot.closedChannels
        // An agent that reports no channels predates all channels but IPsec.
        let silent = Set(allowed).intersection([.ipsec])
        offers = Dictionary(
            snapshot.hosts.compactMap { host in
                host.latest.map { (host.name, $0.channels.map { Set(allowed).intersection($0) } ?? silent) }
            },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// Returns the channel for a move on a path, or `nil` if none is open.
    public func channel(on path: Path) -> Channel? {
        let open = open(on: path)
        guard let preferred = open.first else { return nil }
        guard let measured = throughputs[path], let its = measured[preferred] else { return preferred }
        // Speed does not justify stopping the VM: only channels of the same technique compete.
        let alike = open.filter { $0.technique == preferred.technique }
        let fastest = alike.max { (measured[$0] ?? 0) < (measured[$1] ?? 0) } ?? preferred
        return (measured[fastest] ?? 0) >= its * Self.muchFaster ? fastest : preferred
    }

    /// Returns why no channel is open on a path.
    public func noChannelReason(on path: Path) -> NoChannel {
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

    func hasAny(_ host: HostName) -> Bool { offers[host]?.isEmpty == false }

    /// Paths without an open channel between hosts that each offer an allowed one.
    var closedPaths: Set<Path> {
        var paths: Set<Path> = []
        func close(_ one: HostName, _ other: HostName) {
            paths.insert(Path(source: one, target: other))
            paths.insert(Path(source: other, target: one))
        }
        // Nearly all hosts of a fleet offer the same channels, so hosts are compared in groups.
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

    /// The measured bandwidth of the chosen channel on each path, in bytes per second; unmeasured paths are left out.
    var bandwidths: [Path: Double] {
        var bandwidths: [Path: Double] = [:]
        for (path, measured) in throughputs {
            bandwidths[path] = channel(on: path).flatMap { measured[$0] }
        }
        return bandwidths
    }

    /// Returns the open channels in the policy's order.
    private func open(on path: Path) -> [Channel] {
        guard let here = offers[path.source], let there = offers[path.target] else { return [] }
        let pair = HostPair(path)
        return allowed.filter {
            here.contains($0) && there.contains($0) && !closed.contains(ClosedChannel(pair, $0))
        }
    }
}
