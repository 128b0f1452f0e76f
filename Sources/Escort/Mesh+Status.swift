// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The tunnel to one peer, as charon sees it.
public struct PeerStatus: Sendable, Equatable, Codable {
    public var peer: HostName
    /// An SA of the demanded strength is installed.
    ///
    /// It may outlive its peer by the time of dead peer detection; `Mesh.establish` proves more.
    public var isUp: Bool
    /// In words, when it is not up.
    public var trouble: String?
    public var association: SecurityAssociation?
    /// Since the ESP SA was installed, in seconds.
    public var ageSeconds: Int?
    /// Until it is replaced by one with new keys, in seconds.
    public var rekeySeconds: Int?
    public var inbound: TrafficCounters?
    public var outbound: TrafficCounters?
}

extension Mesh {
    /// Every peer of this host, in the order of their names.
    public func meshStatus() async throws -> [PeerStatus] {
        let (plan, _) = try ready()
        let implementation = try await charon.implementation()
        let associations = try await charon.associations()
        return plan.peers.map { Self.status($0, associations, implementation, minimum) }
    }

    static func status(
        _ peer: MeshPlan.Member,
        _ associations: [IKEAssociation],
        _ implementation: ESPImplementation,
        _ minimum: MinimumSuite
    ) -> PeerStatus {
        let own = associations.filter { $0.name == peer.connection }
        guard let live = TunnelReading(associations: own).live else {
            let trouble = own.first.map { "IKE is \($0.state) and no child SA is installed" } ?? "there is no SA"
            return PeerStatus(peer: peer.name, isUp: false, trouble: trouble)
        }
        let weakness = minimum.weakness(of: live.association, live.child)
        return PeerStatus(
            peer: peer.name,
            isUp: weakness == nil,
            trouble: weakness,
            association: SecurityAssociation(live.association, live.child, implementation),
            ageSeconds: live.child.age,
            rekeySeconds: live.child.secondsToRekey,
            inbound: live.child.inbound,
            outbound: live.child.outbound
        )
    }
}
