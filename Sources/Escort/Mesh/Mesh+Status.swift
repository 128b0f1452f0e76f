// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension Mesh {
    /// Returns the status of the tunnel to each peer, ordered by name.
    public func meshStatus() async throws -> [TunnelStatus] {
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
    ) -> TunnelStatus {
        let own = associations.filter { $0.name == peer.connection }
        guard let live = TunnelReading(associations: own).live else {
            let trouble = own.first.map { "IKE is \($0.state) and no child SA is installed" } ?? "there is no SA"
            return TunnelStatus(peer: peer.name, isUp: false, trouble: trouble)
        }
        let weakness = minimum.weakness(of: live.association, live.child)
        return TunnelStatus(
            peer: peer.name,
            isUp: weakness == nil,
            trouble: weakness?.description,
            association: SecurityAssociation(live.association, live.child, implementation),
            ageSeconds: live.child.age,
            rekeySeconds: live.child.secondsToRekey,
            inbound: live.child.inbound,
            outbound: live.child.outbound
        )
    }
}
