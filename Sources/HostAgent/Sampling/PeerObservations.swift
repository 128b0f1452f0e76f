// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import Logging
import Synchronization

/// Recent observations of the peers' hypervisors, which are queried in turn.
///
/// Samples contain them as witnesses to the peers' own claims.
final class PeerObservations: Sendable {
    private struct State {
        var newest: [HostName: PeerObservation] = [:]
        var asked = 0
    }

    private let host: HostName
    private let inventory: @Sendable () async -> Inventory
    private let hypervisor: any Hypervisor
    private let logger: Logger
    private let state = Mutex(State())

    /// Maximum age of an observation in a sample.
    private static let lifetimeMilliseconds: Int64 = 5 * 60 * 1000
    /// Maximum number of observations in a sample.
    private static let most = 8

    /// Creates an empty collection; `inventory` returns the hosts that belong to the fleet now.
    init(
        for host: HostName,
        hypervisor: any Hypervisor,
        logger: Logger,
        inventory: @escaping @Sendable () async -> Inventory
    ) {
        self.host = host
        self.inventory = inventory
        self.hypervisor = hypervisor
        self.logger = logger
    }

    /// Queries one peer about every 30 s, until cancelled.
    ///
    /// The pauses are random, so that the agents of a fleet do not all query one host at once.
    func keep() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(Int.random(in: 25_000...35_000)))
            guard !Task.isCancelled else { return }
            await askNext()
        }
    }

    /// Queries the next peer in turn; skips one that does not answer.
    func askNext() async {
        let peers = await inventory().hosts.filter { $0.name != host }
        guard !peers.isEmpty else { return }
        let peer = state.withLock { state in
            defer { state.asked += 1 }
            return peers[state.asked % peers.count]
        }
        do {
            let observation = try await hypervisor.observation(ofPeer: peer.libvirtURI, named: peer.name)
            state.withLock { $0.newest[peer.name] = observation }
        } catch {
            logger.debug("cannot observe peer \(peer.name)", metadata: ["reason": "\(error)"])
        }
    }

    /// Returns the newest observations, latest first; `nil` if there are none.
    func recent(at now: Instant) -> [PeerObservation]? {
        let recent = state.withLock { Array($0.newest.values) }
            .filter { now.milliseconds - $0.at.milliseconds <= Self.lifetimeMilliseconds }
            .sorted { ($1.at.milliseconds, $0.host.rawValue) < ($0.at.milliseconds, $1.host.rawValue) }
        return recent.isEmpty ? nil : Array(recent.prefix(Self.most))
    }
}
