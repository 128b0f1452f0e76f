// SPDX-License-Identifier: Apache-2.0

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
    public var mode: Mode
    public var implementation: ESPImplementation
    /// ESP in UDP.
    public var encapsulated: Bool

    /// The mode that IKE negotiated.
    public enum Mode: RawRepresentable, Codable, Sendable, Equatable {
        case tunnel
        /// Another mode, as strongSwan names it.
        case other(String)

        public init(rawValue: String) { self = rawValue == "TUNNEL" ? .tunnel : .other(rawValue) }

        public var rawValue: String {
            switch self {
            case .tunnel: "TUNNEL"
            case .other(let word): word
            }
        }
    }

    public init(
        localIdentity: String,
        peerIdentity: String,
        inboundSPI: String,
        outboundSPI: String,
        suite: String,
        ikeSuite: String,
        mode: Mode,
        implementation: ESPImplementation,
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

/// The implementation that encrypts the packets of a host.
public enum ESPImplementation: String, Sendable, Codable {
    case kernel
    /// strongSwan's libipsec, over a TUN device.
    case userSpace = "user space"
}

/// Bytes and packets counted so far in one direction.
public struct TrafficCounters: Codable, Sendable, Equatable {
    public var bytes: UInt64
    public var packets: UInt64
    public init(bytes: UInt64, packets: UInt64) {
        self.bytes = bytes
        self.packets = packets
    }
}

/// The identity of a certificate; none of it is secret.
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

/// The parameters that a TLS or ssh handshake negotiated.
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
    /// Duration of the attempt, in seconds.
    public var seconds: Double?

    public enum Outcome: String, Codable, Sendable {
        /// No answer: the packets were dropped.
        case shut
        /// The host's TCP answered, even if with a refusal: nothing protects the port.
        case open
        /// The probe was not possible.
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
