// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// One look at the tunnel to one peer.
struct TunnelReading: Sendable, Equatable {
    var associations: [IKEAssociation]
    /// What the gate saw go into the tunnel; `nil` when it could not be read.
    var gate: TrafficCounters?
    /// Packets that this host's gates dropped so far; `nil` when they could not be read.
    var dropped: UInt64?

    /// The child that sends with this SPI, live or not.
    func child(outboundSPI: String) -> IKEAssociation.Child? {
        associations.lazy.flatMap(\.children).first { $0.outboundSPI == outboundSPI }
    }

    /// The association that carries traffic now, with its child.
    var live: (association: IKEAssociation, child: IKEAssociation.Child)? { live { _ in true } }

    /// The same among those that satisfy the condition.
    ///
    /// Should there be several, charon sends through the one installed last.
    func live(
        where condition: (IKEAssociation) -> Bool
    ) -> (association: IKEAssociation, child: IKEAssociation.Child)? {
        associations.filter(condition)
            .compactMap { association in association.liveChild.map { (association, $0) } }
            .min { ($0.1.age ?? .max) < ($1.1.age ?? .max) }
    }
}
