// SPDX-License-Identifier: Apache-2.0

/// What was observed of the path during one migration: observations, not configuration.
public struct Evidence: Codable, Sendable, Equatable {
    public var channel: Channel
    /// The security association that carried it, as the source saw it; `nil` for `plain`.
    public var association: SecurityAssociation?
    /// What the counters of `association` towards the target said before the first byte moved and after the last.
    ///
    /// Zero and its last figure for one that replaced another in the meantime; `nil` when it could not be read.
    public var before: TrafficCounters?
    public var after: TrafficCounters?
    /// Bytes that passed the channel during the move: in a tunnel, summed over every SA that served it (rekeying
    /// included); of a sealed move, those of the encrypted image; else those to the ports that the channel uses.
    public var bytesThroughTunnel: UInt64?
    /// Memory bytes the hypervisor says it sent.
    public var bytesByHypervisor: UInt64?
    /// Packets of whatever origin dropped at the source's gates during the move; `nil` when it could not be read.
    public var droppedAtGates: UInt64?
    /// The certificate with which the target proved who it is; `nil` where it was a key or nothing.
    public var peerCertificate: CertificateFacts?
    /// What a handshake with the target negotiated just before the move, over TLS or ssh, or how the image of a sealed
    /// move was encrypted; `nil` for other channels.
    public var session: SessionFacts?
    /// The target's ssh host key; `nil` for other channels.
    public var hostKey: String?
    /// What stood between the target's ports and everybody else before the move.
    public var probes: [GateProbe]?
    public var verdict: Verdict

    public enum Verdict: String, Codable, Sendable {
        /// The SA's bytes cover what the hypervisor sent.
        case covered
        /// They do not: something went another way.
        case leak
        /// The channel protects nothing.
        case unprotected
        /// A figure is missing, so nothing is claimed.
        case unknown
    }

    public init(
        channel: Channel,
        association: SecurityAssociation? = nil,
        before: TrafficCounters? = nil,
        after: TrafficCounters? = nil,
        bytesThroughTunnel: UInt64? = nil,
        bytesByHypervisor: UInt64? = nil,
        droppedAtGates: UInt64? = nil,
        peerCertificate: CertificateFacts? = nil,
        session: SessionFacts? = nil,
        hostKey: String? = nil,
        probes: [GateProbe]? = nil,
        verdict: Verdict
    ) {
        self.channel = channel
        self.association = association
        self.before = before
        self.after = after
        self.bytesThroughTunnel = bytesThroughTunnel
        self.bytesByHypervisor = bytesByHypervisor
        self.droppedAtGates = droppedAtGates
        self.peerCertificate = peerCertificate
        self.session = session
        self.hostKey = hostKey
        self.probes = probes
        self.verdict = verdict
    }
}

/// One IPsec security association pair (child SA) between two hosts.
public struct SecurityAssociation: Codable, Sendable, Equatable {
    public var localIdentity: String
    public var peerIdentity: String
    /// Security parameter indices in hexadecimal.
    public var inboundSPI: String
    public var outboundSPI: String
    /// For example `AES_GCM_16-256/CURVE_25519`.
    public var suite: String
    /// For example `IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519`.
    public var ikeSuite: String
    /// As negotiated; `TUNNEL` is expected.
    public var mode: String
    /// `kernel` or `user space`.
    public var implementation: String
    /// ESP in UDP.
    public var encapsulated: Bool
    public init(
        localIdentity: String,
        peerIdentity: String,
        inboundSPI: String,
        outboundSPI: String,
        suite: String,
        ikeSuite: String,
        mode: String,
        implementation: String,
        encapsulated: Bool
    ) {
        self.localIdentity = localIdentity
        self.peerIdentity = peerIdentity
        self.inboundSPI = inboundSPI
        self.outboundSPI = outboundSPI
        self.suite = suite
        self.ikeSuite = ikeSuite
        self.mode = mode
        self.implementation = implementation
        self.encapsulated = encapsulated
    }
}

/// Bytes and packets counted so far by one direction of an SA.
public struct TrafficCounters: Codable, Sendable, Equatable {
    public var bytes: UInt64
    public var packets: UInt64
    public init(bytes: UInt64, packets: UInt64) {
        self.bytes = bytes
        self.packets = packets
    }
}

/// What identifies a certificate; nothing of it is secret.
public struct CertificateFacts: Codable, Sendable, Equatable {
    public var subject: String
    public var issuer: String
    /// SHA-256 of the certificate, in hexadecimal.
    public var fingerprint: String
    public var expires: Instant
    public init(subject: String, issuer: String, fingerprint: String, expires: Instant) {
        self.subject = subject
        self.issuer = issuer
        self.fingerprint = fingerprint
        self.expires = expires
    }
}

/// What a handshake of TLS or ssh negotiated.
public struct SessionFacts: Codable, Sendable, Equatable {
    /// For example `TLSv1.3` or `SSH-2.0`.
    public var version: String
    /// For example `TLS_AES_256_GCM_SHA384`.
    public var suite: String
    public init(version: String, suite: String) {
        self.version = version
        self.suite = suite
    }
}

/// One attempt to reach a port of the target that must be shut.
public struct GateProbe: Codable, Sendable, Equatable {
    /// The address and port that were tried, from the prober's LAN address.
    public var address: String
    public var port: Int
    public var at: Instant
    public var outcome: Outcome
    /// How long it took, in seconds.
    public var seconds: Double?

    public enum Outcome: String, Codable, Sendable {
        /// Nothing came back: what was sent was dropped.
        case shut
        /// The host's TCP answered, be it with a refusal: nothing stands before the port.
        case open
        /// It could not be tried.
        case unknown
    }

    public init(address: String, port: Int, at: Instant, outcome: Outcome, seconds: Double? = nil) {
        self.address = address
        self.port = port
        self.at = at
        self.outcome = outcome
        self.seconds = seconds
    }
}
