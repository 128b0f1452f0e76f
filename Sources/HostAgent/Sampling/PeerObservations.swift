// SPDX-License-Identifier: Apache-2.0
import Fleet
import Hypervisor
import Logging
import Synchronization

/// What the peers' hypervisors have shown lately, each asked in turn.
///
/// It goes into the samples as a witness to what the peers say of themselves.
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

    /// Older ones say nothing of now.
    private static let lifetimeMilliseconds: Int64 = 5 * 60 * 1000
    /// So many go into one sample.
    private static let most = 8

    /// `inventory`: the hosts that belong to the fleet now.
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

    /// Asks one peer about every half minute, until it is cancelled.
    ///
    /// The pauses differ, so that the agents of a fleet do not ask one host all at once.
    func keep() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(Int.random(in: 25_000...35_000)))
            guard !Task.isCancelled else { return }
            await askNext()
        }
    }

    /// Asks the peer whose turn it is; one that does not answer is passed over.
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
            logger.debug("peer \(peer.name) was not seen", metadata: ["reason": "\(error)"])
        }
    }

    /// The newest, the very newest first; `nil` when there is none.
    func recent(at now: Instant) -> [PeerObservation]? {
        let recent = state.withLock { Array($0.newest.values) }
            .filter { now.milliseconds - $0.at.milliseconds <= Self.lifetimeMilliseconds }
            .sorted { ($1.at.milliseconds, $0.host.rawValue) < ($0.at.milliseconds, $1.host.rawValue) }
        return recent.isEmpty ? nil : Array(recent.prefix(Self.most))
    }
}
