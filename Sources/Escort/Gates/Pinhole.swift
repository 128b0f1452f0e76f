// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// A temporary opening of this host's migration ports for one peer.
///
/// It is an element of an nft set with a timeout: the kernel closes it even if the agent has died. Established
/// connections remain; only new ones need the pinhole.
struct Pinhole: Sendable, Equatable {
    /// Name of the set of peers' inner addresses.
    ///
    /// A set holds addresses of one family; a fleet that changes its family gets new sets.
    static func innerSet(_ plan: MeshPlan) -> String { "pinholes_inner_\(plan.local.inner.family.nftKeyword)" }
    static func lanSet(_ plan: MeshPlan) -> String { "pinholes_lan_\(plan.local.address.family.nftKeyword)" }
    /// Name of the set of peers from which an operator requested a migration in the clear.
    static func clearSet(_ plan: MeshPlan) -> String { "in_clear_\(plan.local.address.family.nftKeyword)" }
    /// Name of the set of peers to which an operator requested one.
    ///
    /// It is separate because a move from the same peer may run at the same time.
    static func outgoingClearSet(_ plan: MeshPlan) -> String { "out_clear_\(plan.local.address.family.nftKeyword)" }

    let plan: MeshPlan
    let peer: MeshPlan.Member
    let channel: Channel

    struct Element: Sendable, Hashable {
        var set: String
        var address: IPAddress
    }

    /// The set elements that the channel needs; none if the memory does not go to the migration ports.
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

    /// Returns the commands that remove an address from a set.
    ///
    /// nft cannot delete a missing element, so the same transaction adds it first.
    static func removing(_ address: IPAddress, from set: String) -> String {
        """
        add element inet \(Gates.table) \(set) { \(address) timeout 1s }
        delete element inet \(Gates.table) \(set) { \(address) }

        """
    }
}

extension Mesh {
    /// Opens this host's migration ports for an order's source while its move may begin.
    public func openPinhole(for order: OrderID, from peer: HostName, channel: Channel, window: Duration) async throws {
        try await pinholes.open(pinhole(peer, channel), for: order, window: window)
    }

    /// Closes the pinhole of an order, unless another order needs it; established connections remain.
    ///
    /// If a previous run of the agent opened the pinhole, the mesh determines it. Throws `EscortError.notApplied` until
    /// the mesh is applied. Throws for a host that is no longer a peer; the kernel closes that pinhole at the end of
    /// its window.
    public func closePinhole(of order: OrderID, from peer: HostName, channel: Channel) async throws {
        let inherited = await pinholes.holds(order) ? nil : try pinhole(peer, channel)
        try await pinholes.close(order, inherited)
    }

    /// Lets this host send a migration in the clear to the peer, as `plain` requires at its source.
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
