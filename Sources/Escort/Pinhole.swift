// SPDX-License-Identifier: Apache-2.0
internal import HostOS
public import Fleet

/// An opening of this host's migration ports for one peer and a bounded time.
///
/// It is an element of an nft set with a timeout: the kernel closes it, whether the agent lives or not. What was let in
/// stays connected; only new connections need it.
struct Pinhole: Sendable, Equatable {
    /// Sets are of one family of addresses: a fleet that changes it gets new ones.
    static func innerSet(_ plan: MeshPlan) -> String { "pinholes_inner_\(plan.local.inner.family.nftKeyword)" }
    static func lanSet(_ plan: MeshPlan) -> String { "pinholes_lan_\(plan.local.address.family.nftKeyword)" }
    /// Peers from which a migration in the clear was asked for by name.
    static func clearSet(_ plan: MeshPlan) -> String { "in_clear_\(plan.local.address.family.nftKeyword)" }
    /// Peers to which one was; apart from the others, as a move may come from the same peer at the same time.
    static func outgoingClearSet(_ plan: MeshPlan) -> String { "out_clear_\(plan.local.address.family.nftKeyword)" }

    let plan: MeshPlan
    let peer: MeshPlan.Member
    let channel: Channel

    struct Element: Sendable, Hashable {
        var set: String
        var address: IPAddress
    }

    /// The sets that a channel needs the peer in; none where the memory does not come to the migration ports.
    var elements: [Element] {
        let inner = Element(set: Self.innerSet(plan), address: peer.inner)
        let lan = Element(set: Self.lanSet(plan), address: peer.address)
        let clear = Element(set: Self.clearSet(plan), address: peer.address)
        return switch channel {
        case .ipsec, .ipsecTLS: [inner]
        case .tls: [lan]
        case .plain: [lan, clear]
        case .ssh, .sealed: []
        }
    }

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
    /// Opens this host's migration ports for an order's source, for the time in which its move may begin.
    public func openPinhole(for order: OrderID, from peer: HostName, channel: Channel, window: Duration) async throws {
        try await pinholes.open(pinhole(peer, channel), for: order, window: window)
    }

    /// Closes what is open for an order, unless another order needs it: new connections are dropped, the one that was
    /// let in stays.
    ///
    /// What an earlier life of this agent opened is found by the mesh: `EscortError.notApplied` until there is one, and
    /// an error for a host that is no peer any more, for which the kernel closes it at the end of its window.
    public func closePinhole(of order: OrderID, from peer: HostName, channel: Channel) async throws {
        let inherited = await pinholes.holds(order) ? nil : try pinhole(peer, channel)
        try await pinholes.close(order, inherited)
    }

    /// Lets this host send a migration in the clear to the peer: what `plain` needs at its source.
    func permitClear(to peer: HostName, window: Duration) async throws {
        let hole = try pinhole(peer, .plain)
        let change = Pinhole.adding(hole.peer.address, to: Pinhole.outgoingClearSet(hole.plan), for: window)
        try await runner.require("opening the gate for a plain move to \(peer)", Gates.loadRuleset, input: change)
    }

    func forbidClear(to peer: HostName) async throws {
        let hole = try pinhole(peer, .plain)
        let change = Pinhole.removing(hole.peer.address, from: Pinhole.outgoingClearSet(hole.plan))
        try await runner.require("closing the gate for plain moves to \(peer)", Gates.loadRuleset, input: change)
    }

    private func pinhole(_ peer: HostName, _ channel: Channel) throws -> Pinhole {
        guard let plan else { throw EscortError.notApplied }
        return Pinhole(plan: plan, peer: try plan.peer(peer), channel: channel)
    }
}
