// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// The members of the cluster and their keys, issued by its certificate authority.
///
/// It is public and signed (`SignedRoster`). It is published in the ledger's folder. Each host keeps the newest
/// roster that it has seen, so that a rollback is detected.
public struct Roster: Codable, Sendable, Equatable {
    /// A random id; two clusters never trust each other's rosters.
    public var cluster: String
    /// Increases with each change: a roster with a lower number than seen before was rolled back.
    public var number: UInt64
    public var issuedAt: Instant
    /// The trusted certificate authorities, the newest first; two while one replaces the other.
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
        /// In PEM format.
        public var certificate: String
        /// Its certificate revocation list in PEM format.
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
        /// The current certificate in PEM format.
        public var certificate: String
        public var expires: Instant
        /// The keys with which its records may be signed.
        ///
        /// `ClusterAuthority` lists one: a renewed certificate keeps its key, and after a change of keys everything
        /// that the old key signed is rejected.
        public var keys: [VerificationKey]
        /// The hardware declared when the host was added: an upper bound of what the host can offer; `nil` if not
        /// declared.
        public var hardware: Hardware?
        /// Every certificate that it ever had, the newest last; `nil` in rosters that do not list them yet.
        public var issued: [IssuedCertificate]?
        /// Set if the member was removed; everything that it writes from then on is rejected.
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

    /// The CPUs and memory of a machine.
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
        /// The end of each stream at that time, by `LedgerStream.rawValue`: what the member wrote after it is rejected,
        /// whatever time it states.
        public var ends: [String: Cursor]
        public init(at: Instant, reason: String, ends: [String: Cursor]) {
            self.at = at
            self.reason = reason
            self.ends = ends
        }

        /// When it was removed, and why.
        public var text: String { "on \(at.readable): \(reason)" }
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
