// SPDX-License-Identifier: Apache-2.0
internal import Commands
public import Fleet

/// An opening of this host's migration ports for one peer and a bounded time.
///
/// It is an element of an nft set with a timeout: the kernel closes it, whether the agent lives or not. What was let in
/// stays connected; only new connections need it.
struct Pinhole: Sendable, Equatable {
    static let innerSet = "pinholes_inner"
    static let lanSet = "pinholes_lan"
    /// Peers with whom a migration in the clear was asked for by name.
    static let clearSet = "in_clear"

    let peer: MeshPlan.Member
    let channel: Channel

    /// The sets that a channel needs the peer in; none where the memory does not come to the migration ports.
    private var elements: [(set: String, address: IPAddress)] {
        switch channel {
        case .ipsec, .ipsecTLS: [(Self.innerSet, peer.inner)]
        case .tls: [(Self.lanSet, peer.address)]
        case .plain: [(Self.lanSet, peer.address), (Self.clearSet, peer.address)]
        case .ssh, .sealed: []
        }
    }

    /// Opens it for so long from now on, also if it is open.
    func opening(for window: Duration) -> String {
        elements.map { Self.adding($0.address, to: $0.set, for: window) }.joined()
    }

    /// Closes it; it need not be open.
    var closing: String { elements.map { Self.removing($0.address, from: $0.set) }.joined() }

    static func adding(_ address: IPAddress, to set: String, for window: Duration) -> String {
        let seconds = max(1, Int(window.inSeconds.rounded(.up)))
        return removing(address, from: set)
            + "add element inet \(Gates.table) \(set) { \(address) timeout \(seconds)s }\n"
    }

    /// What is not there cannot be deleted: it is added first, in the same transaction.
    static func removing(_ address: IPAddress, from set: String) -> String {
        """
        add element inet \(Gates.table) \(set) { \(address) timeout 1s }
        delete element inet \(Gates.table) \(set) { \(address) }

        """
    }
}

extension Mesh {
    /// Opens this host's migration ports for a peer, for the time in which its move may begin.
    public func openPinhole(for peer: HostName, channel: Channel, window: Duration) async throws {
        let member = try self.peer(peer)
        try await load(Pinhole(peer: member, channel: channel).opening(for: window), "opening a pinhole for \(peer)")
    }

    /// Lets this host send one migration to the peer in the clear: what `plain` needs at its source.
    public func permitClear(to peer: HostName, window: Duration) async throws {
        let address = try self.peer(peer).address
        try await load(
            Pinhole.adding(address, to: Pinhole.clearSet, for: window),
            "letting a move to \(peer) go in the clear"
        )
    }

    public func forbidClear(to peer: HostName) async throws {
        let address = try self.peer(peer).address
        try await load(Pinhole.removing(address, from: Pinhole.clearSet), "closing the way in the clear to \(peer)")
    }

    /// Closes them again: new connections are dropped, the one that was let in stays.
    public func closePinhole(for peer: HostName, channel: Channel) async throws {
        let member = try self.peer(peer)
        try await load(Pinhole(peer: member, channel: channel).closing, "closing the pinhole for \(peer)")
    }

    private func load(_ changes: String, _ step: String) async throws {
        guard !changes.isEmpty else { return }
        try await runner.require(step, Gates.loadRuleset, input: changes)
    }
}
