// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// One reading of the tunnel to one peer.
struct TunnelReading: Sendable, Equatable {
    var associations: [IKEAssociation]
    /// The gate's count of the traffic into the tunnel; `nil` if it could not be read.
    var gate: TrafficCounters?
    /// Packets that this host's gates have dropped; `nil` if they could not be read.
    var dropped: UInt64?

    /// Returns the child with this outbound SPI, live or not.
    func child(outboundSPI: String) -> IKEAssociation.Child? {
        associations.lazy.flatMap(\.children).first { $0.outboundSPI == outboundSPI }
    }

    /// The association that carries traffic now, with its child.
    var live: (association: IKEAssociation, child: IKEAssociation.Child)? { live { _ in true } }

    /// Returns the same among the associations that satisfy the condition.
    ///
    /// If there are several, charon sends through the one installed last.
    func live(
        where condition: (IKEAssociation) -> Bool
    ) -> (association: IKEAssociation, child: IKEAssociation.Child)? {
        associations.filter(condition)
            .compactMap { association in association.liveChild.map { (association, $0) } }
            .min { ($0.1.age ?? .max) < ($1.1.age ?? .max) }
    }
}
