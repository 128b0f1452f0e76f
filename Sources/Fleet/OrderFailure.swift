// SPDX-License-Identifier: Apache-2.0

/// How an order ended without a move.
public struct OrderFailure: Error, Sendable, Equatable {
    public var kind: Kind
    /// In words: `text`.
    public var reason: FailureReason
    public var whereabouts: Whereabouts
    public var preflight: [PreflightFailure]
    public var evidence: Evidence?

    public enum Kind: String, Codable, Sendable {
        /// A check before the move failed; nothing was touched.
        case refused
        /// The protected path was not there or did not hold.
        case escort
        /// The hypervisor gave up; the VM runs on at the source.
        case migration
        case cancelled
        case expired
        /// The agent was away and found afterwards that the move had not happened.
        case interrupted
        /// Nobody could say where the VM runs; a person must look.
        case inDoubt
    }

    /// Where the order's VM runs.
    public enum Whereabouts: Sendable, Equatable {
        /// It was seen to run there.
        case at(HostName)
        /// Nobody looked: nothing was done to the VM.
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

    /// `reason` is the text, `code` the reason's name; `cause` is the reason with its fields.
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
        kind = try values.decode(Kind.self, forKey: .kind)
        // An older agent writes no cause, a newer one perhaps one that is not known here; its text remains.
        let text = try values.decode(String.self, forKey: .reason)
        reason = (try? values.decode(FailureReason.self, forKey: .cause)) ?? .other(text)
        if let host = try values.decodeIfPresent(HostName.self, forKey: .runsOn) {
            whereabouts = .at(host)
        } else {
            // An older agent left it out in both cases: what may not be concluded is safe to assume.
            let isKnown = try values.decodeIfPresent(String.self, forKey: .whereabouts) == "notLooked"
            whereabouts = isKnown ? .notLooked : .unknown
        }
        preflight = try values.decodeIfPresent([PreflightFailure].self, forKey: .preflight) ?? []
        evidence = try values.decodeIfPresent(Evidence.self, forKey: .evidence)
    }
}
