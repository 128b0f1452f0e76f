// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Who belongs to the cluster, as its certificate authority says: the keys that records are verified with.
///
/// It is public and signed (`SignedRoster`); it lies in the ledger's folder, and each host keeps the newest that it has
/// seen, so that an older one is noticed.
public struct Roster: Codable, Sendable, Equatable {
    /// Made at random with the cluster; two clusters never trust each other's rosters.
    public var cluster: String
    /// Rises with each change: one with a lower number than seen before was rolled back.
    public var number: UInt64
    public var issuedAt: Instant
    /// The certificate authorities that count, the newest first; two while one replaces the other.
    public var anchors: [Anchor]
    public var members: [Member]

    public init(cluster: String, number: UInt64, issuedAt: Instant, anchors: [Anchor], members: [Member]) {
        self.cluster = cluster
        self.number = number
        self.issuedAt = issuedAt
        self.anchors = anchors
        self.members = members
    }

    /// A certificate authority.
    public struct Anchor: Codable, Sendable, Equatable {
        /// PEM.
        public var certificate: String
        /// Its certificate revocation list, PEM.
        public var revocations: String
        public var key: VerificationKey
        public var expires: Instant
        public init(certificate: String, revocations: String, key: VerificationKey, expires: Instant) {
            self.certificate = certificate
            self.revocations = revocations
            self.key = key
            self.expires = expires
        }
    }

    /// A host, a controller or an operator.
    public struct Member: Codable, Sendable, Equatable {
        public var name: LedgerWriter
        /// The current one, PEM.
        public var certificate: String
        public var expires: Instant
        /// What its records may be signed with.
        ///
        /// `ClusterAuthority` lists one: a renewed certificate keeps its key, and with new keys nothing that the old
        /// ones signed counts any more.
        public var keys: [VerificationKey]
        /// What the host's machine has, where whoever added it said so: it cannot offer more.
        public var hardware: Hardware?
        /// Every certificate that it ever had, the newest last; `nil`: its roster is of before they were remembered.
        public var issued: [IssuedCertificate]?
        /// Set when it was removed; nothing that it writes from then on counts.
        public var revocation: Revocation?
        public init(
            name: LedgerWriter,
            certificate: String,
            expires: Instant,
            keys: [VerificationKey],
            hardware: Hardware? = nil,
            issued: [IssuedCertificate]? = nil,
            revocation: Revocation? = nil
        ) {
            self.name = name
            self.certificate = certificate
            self.expires = expires
            self.keys = keys
            self.hardware = hardware
            self.issued = issued
            self.revocation = revocation
        }
    }

    /// What a machine has.
    public struct Hardware: Codable, Sendable, Equatable {
        public var cpus: Int?
        public var memoryBytes: UInt64?
        public init(cpus: Int? = nil, memoryBytes: UInt64? = nil) {
            self.cpus = cpus
            self.memoryBytes = memoryBytes
        }
    }

    /// When a member was removed, and why.
    public struct Revocation: Codable, Sendable, Equatable {
        public var at: Instant
        public var reason: String
        /// How far each stream had come then, by `LedgerStream.rawValue`: what the member wrote after that is refused,
        /// whatever time it names.
        public var ends: [String: Cursor]
        public init(at: Instant, reason: String, ends: [String: Cursor]) {
            self.at = at
            self.reason = reason
            self.ends = ends
        }

        /// Since when, and why.
        public var words: String { "on \(at.readable): \(reason)" }
    }

    public subscript(name: LedgerWriter) -> Member? { members.first { $0.name == name } }

    /// The hosts that were removed from the cluster, and when.
    public var removedHosts: [HostName: Instant] {
        var removed: [HostName: Instant] = [:]
        for member in members {
            guard case .host(let host) = member.name, let revocation = member.revocation else { continue }
            removed[host] = revocation.at
        }
        return removed
    }
}
