// SPDX-License-Identifier: Apache-2.0

/// How an order ended without a move.
public struct OrderFailure: Error, Sendable, Equatable {
    public var kind: Kind
    /// Its description is `text`.
    public var reason: FailureReason
    public var whereabouts: Whereabouts
    public var preflight: [PreflightFailure]
    public var evidence: Evidence?

    public enum Kind: String, Codable, Sendable {
        /// A check before the move failed; nothing was touched.
        case refused
        /// The protected path was missing or was lost.
        case escort
        /// The hypervisor gave up; the VM continues to run at the source.
        case migration
        case cancelled
        case expired
        /// The agent was down, and found afterwards that the move had not happened.
        case interrupted
        /// No host could locate the VM with certainty: an operator must decide.
        case inDoubt
    }

    /// The location of the order's VM.
    public enum Whereabouts: Sendable, Equatable {
        /// It was observed to run there.
        case at(HostName)
        /// Not checked: nothing was done to the VM.
        case notLooked
        /// It may run anywhere, or nowhere; nothing may be concluded.
        case unknown
    }

    public init(
        _ kind: Kind,
        _ reason: FailureReason,
        _ whereabouts: Whereabouts,
        preflight: [PreflightFailure] = [],
        evidence: Evidence? = nil
    ) {
        self.kind = kind
        self.reason = reason
        self.whereabouts = whereabouts
        self.preflight = preflight
        self.evidence = evidence
    }
}

extension OrderFailure: Codable {
    private enum CodingKeys: String, CodingKey {
        case kind, reason, code, cause, runsOn, whereabouts, preflight, evidence
    }

    /// Encodes `reason` as text, `code` as the reason's stable code, and `cause` as the reason with its fields.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(kind, forKey: .kind)
        try values.encode(text, forKey: .reason)
        try values.encode(reason.code, forKey: .code)
        if case .other = reason {} else { try values.encode(reason, forKey: .cause) }
        switch whereabouts {
        case .at(let host): try values.encode(host, forKey: .runsOn)
        case .notLooked: try values.encode("notLooked", forKey: .whereabouts)
        case .unknown: try values.encode("unknown", forKey: .whereabouts)
        }
        try values.encode(preflight, forKey: .preflight)
        try values.encodeIfPresent(evidence, forKey: .evidence)
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        // An end for a reason that only a newer agent knows is an end: the VM's place must be looked up.
        kind = (try? values.decode(Kind.self, forKey: .kind)) ?? .inDoubt
        // An older agent writes no cause, and a newer one perhaps an unknown one. The text remains.
        let text = try values.decode(String.self, forKey: .reason)
        reason = (try? values.decode(FailureReason.self, forKey: .cause)) ?? .other(text)
        if let host = try values.decodeIfPresent(HostName.self, forKey: .runsOn) {
            whereabouts = .at(host)
        } else {
            // An older agent left it out in both cases: `unknown` is the safe assumption.
            let isKnown = try values.decodeIfPresent(String.self, forKey: .whereabouts) == "notLooked"
            whereabouts = isKnown ? .notLooked : .unknown
        }
        // The text has the reasons that are not understood.
        preflight = (try? values.decodeIfPresent([PreflightFailure].self, forKey: .preflight)) ?? []
        evidence = try values.decodeIfPresent(Evidence.self, forKey: .evidence)
    }
}
