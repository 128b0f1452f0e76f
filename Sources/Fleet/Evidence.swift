// SPDX-License-Identifier: Apache-2.0

/// Observations of the path during one migration, never configuration.
public struct Evidence: Sendable, Equatable {
    public var channel: Channel
    public var proof: Proof
    /// Bytes that passed the protected path during the move; `nil` if they were not counted.
    ///
    /// `ipsec`: summed over every SA of the move, rekeying included. `tls` and `ssh`: bytes to the ports of the
    /// channel. `sealed`: the size of the encrypted image.
    public var bytesOnPath: UInt64?
    /// Memory bytes that the hypervisor reports as sent.
    public var bytesByHypervisor: UInt64?
    /// Packets from any sender that the source's gates dropped during the move; `nil` if not read.
    public var droppedAtGates: UInt64?
    /// Probes of the target's ports before the move; all of them must have been shut.
    public var probes: [GateProbe]
    public var verdict: Verdict

    public enum Verdict: String, Codable, Sendable {
        /// The path carried at least the bytes that the hypervisor sent.
        case covered
        /// The path carried less, or a gate dropped packets in the clear.
        case leak
        /// The channel protects nothing.
        case unprotected
        /// A figure is missing, so nothing is claimed.
        case unknown
    }

    public init(
        channel: Channel,
        proof: Proof = .none,
        bytesOnPath: UInt64? = nil,
        bytesByHypervisor: UInt64? = nil,
        droppedAtGates: UInt64? = nil,
        probes: [GateProbe] = [],
        verdict: Verdict
    ) {
        self.channel = channel
        self.proof = proof
        self.bytesOnPath = bytesOnPath
        self.bytesByHypervisor = bytesByHypervisor
        self.droppedAtGates = droppedAtGates
        self.probes = probes
        self.verdict = verdict
    }
}

extension Evidence {
    /// The proven identity of the target, and the protection of the path.
    public enum Proof: Codable, Sendable, Equatable {
        /// Nothing protects the channel (`plain`), or the source's agent did not see the move end.
        case none
        /// `ipsec`: the SA, and the certificate that IKE required of the target; `nil` with pre-shared keys.
        case tunnel(association: SecurityAssociation, counters: CounterSpan?, certificate: CertificateFacts?)
        /// `ipsec+tls`: QEMU's TLS inside the SA.
        case tunnelledSession(
            association: SecurityAssociation,
            counters: CounterSpan?,
            session: SessionFacts,
            certificate: CertificateFacts
        )
        /// `tls`: a handshake with the target's libvirt just before the move.
        case session(session: SessionFacts, certificate: CertificateFacts, counters: CounterSpan?)
        /// `ssh`: a login just before the move, and the target's host key.
        case hostKey(hostKey: String, session: SessionFacts, counters: CounterSpan?)
        /// `sealed`: the encrypted image on the shared storage.
        case sealed(image: SealedImage)

        public var association: SecurityAssociation? {
            switch self {
            case .tunnel(let association, _, _), .tunnelledSession(let association, _, _, _): association
            case .none, .session, .hostKey, .sealed: nil
            }
        }

        public var certificate: CertificateFacts? {
            switch self {
            case .tunnel(_, _, let certificate): certificate
            case .tunnelledSession(_, _, _, let certificate), .session(_, let certificate, _): certificate
            case .none, .hostKey, .sealed: nil
            }
        }

        public var session: SessionFacts? {
            switch self {
            case .tunnelledSession(_, _, let session, _), .session(let session, _, _), .hostKey(_, let session, _):
                session
            case .none, .tunnel, .sealed: nil
            }
        }

        public var counters: CounterSpan? {
            switch self {
            case .tunnel(_, let counters, _), .tunnelledSession(_, let counters, _, _): counters
            case .session(_, _, let counters), .hostKey(_, _, let counters): counters
            case .none, .sealed: nil
            }
        }
    }

    /// Values of a counter before the first byte moved and after the last.
    ///
    /// In a tunnel it is the outbound counter of the named SA, from zero if that SA replaced another during the move.
    /// Otherwise it is the gate's counter of the channel's ports.
    public struct CounterSpan: Codable, Sendable, Equatable {
        public var before: TrafficCounters
        public var after: TrafficCounters
        public init(before: TrafficCounters, after: TrafficCounters) {
            self.before = before
            self.after = after
        }
    }
}

extension Evidence: Codable {
    /// Treats missing keys as not observed.
    ///
    /// If another version wrote a value that this one does not understand, nothing is claimed, except that a leak stays
    /// one: the step with the evidence must still end its order.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        var isUnderstood = true
        func value<Value: Decodable>(_ type: Value.Type, _ key: CodingKeys) -> Value? {
            do { return try container.decodeIfPresent(type, forKey: key) } catch {
                isUnderstood = false
                return nil
            }
        }
        let known = (channel: value(Channel.self, .channel), verdict: value(Verdict.self, .verdict))
        // Nothing protects less than `plain`.
        channel = known.channel ?? .plain
        proof = value(Proof.self, .proof) ?? .none
        probes = value([GateProbe].self, .probes) ?? []
        bytesOnPath = value(UInt64.self, .bytesOnPath)
        bytesByHypervisor = value(UInt64.self, .bytesByHypervisor)
        droppedAtGates = value(UInt64.self, .droppedAtGates)
        verdict = known.verdict ?? .unknown
        if !isUnderstood, verdict != .leak { self = Evidence(channel: channel, verdict: .unknown) }
    }
}
