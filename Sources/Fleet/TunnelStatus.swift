// SPDX-License-Identifier: Apache-2.0

/// The tunnel from one host to a peer, as that host's IPsec daemon reports it.
public struct TunnelStatus: Codable, Sendable, Equatable {
    public var peer: HostName
    /// Whether an SA of the required strength is installed.
    ///
    /// It may outlive its peer by the time of dead peer detection; each move proves more before it begins.
    public var isUp: Bool
    /// Why it is not up, as text.
    public var trouble: String?
    public var association: SecurityAssociation?
    /// Since the SA was installed, and until its rekeying, in seconds.
    public var ageSeconds: Int?
    public var rekeySeconds: Int?
    public var inbound: TrafficCounters?
    public var outbound: TrafficCounters?

    public init(
        peer: HostName,
        isUp: Bool,
        trouble: String? = nil,
        association: SecurityAssociation? = nil,
        ageSeconds: Int? = nil,
        rekeySeconds: Int? = nil,
        inbound: TrafficCounters? = nil,
        outbound: TrafficCounters? = nil
    ) {
        self.peer = peer
        self.isUp = isUp
        self.trouble = trouble
        self.association = association
        self.ageSeconds = ageSeconds
        self.rekeySeconds = rekeySeconds
        self.inbound = inbound
        self.outbound = outbound
    }
}
