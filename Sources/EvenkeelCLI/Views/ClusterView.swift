// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Identity
import Ledger

/// The cluster's certificates, as text and as JSON.
struct ClusterView: Encodable {
    var cluster: String
    var roster: UInt64
    var anchors: [Entry] = []
    var members: [Entry] = []

    struct Entry: Encodable {
        /// `anchor`, `host`, `controller` or `operator`.
        var kind: String
        var name: String
        var names: [String]
        var certificate: CertificateFacts
        var daysLeft: Int
        /// The reason why it was removed from the cluster.
        var removed: String?
        var hardware: Roster.Hardware?
    }

    /// Remaining days below which a certificate causes a warning.
    static let warningDays = 30

    init(_ roster: Roster, now: Instant = .now) async throws {
        cluster = roster.cluster
        self.roster = roster.number
        func days(_ end: Instant) -> Int { Int(((end - now).inSeconds / 86400).rounded(.down)) }
        for anchor in roster.anchors {
            let facts = try await Certificate(pem: anchor.certificate, path: "anchor").facts
            anchors.append(
                Entry(kind: "anchor", name: anchor.key.id, names: [], certificate: facts, daysLeft: days(facts.expires))
            )
        }
        for member in roster.members.sorted(by: { $0.name.description < $1.name.description }) {
            let certificate = try await Certificate(pem: member.certificate, path: "\(member.name)")
            let (kind, name) =
                if case .host(let host) = member.name { ("host", host.rawValue) } else {
                    ("\(member.name)", "\(member.name)")
                }
            members.append(
                Entry(
                    kind: kind,
                    name: name,
                    names: certificate.names,
                    certificate: certificate.facts,
                    daysLeft: days(certificate.facts.expires),
                    removed: member.revocation?.reason,
                    hardware: member.hardware
                )
            )
        }
    }

    private var current: [Entry] { anchors + members.filter { $0.removed == nil } }
    var hasExpired: Bool { current.contains { $0.daysLeft < 0 } }

    var warnings: [String] {
        current.filter { $0.daysLeft < Self.warningDays }.map {
            let command = $0.kind == "anchor" ? "rotate --authority" : "rotate"
            let state = $0.daysLeft < 0 ? "has expired" : "expires in \($0.daysLeft) days"
            return "warning: \($0.kind) \($0.name): certificate \(state); run 'evenkeel certificates \(command)'"
        }
    }

    var text: String {
        "Cluster \(cluster), roster \(roster)\n\n" + Self.table(anchors + members, empty: "").text
    }

    static func table(_ entries: [Entry], empty: String) -> TextTable {
        TextTable(
            ["KIND", "NAME", "NAMES", "DAYS LEFT", "FINGERPRINT", "STATE"],
            entries.map { entry in
                [
                    entry.kind, entry.name, entry.names.isEmpty ? "-" : entry.names.joined(separator: " "),
                    "\(entry.daysLeft)", String(entry.certificate.fingerprint.prefix(16)),
                    entry.removed.map { "removed: \($0)" } ?? (entry.daysLeft < 0 ? "EXPIRED" : "valid"),
                ]
            },
            empty: empty
        )
    }
}
