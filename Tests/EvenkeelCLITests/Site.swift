// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Ledger

let h1 = HostName("h1")
let h2 = HostName("h2")

func sample(_ host: HostName, _ number: Int) -> LoadSample {
    LoadSample(host: host, at: .now, cpu: CPULoad(capacityCores: 4, busyCores: Double(number)))
}

/// A signed ledger and the folder of the operator's identity.
struct Site {
    let folder: String
    let identity: String
    private let keys: [LedgerWriter: SigningKey]
    private let authority = SigningKey()
    let roster: Roster

    init(in parent: String) throws {
        folder = "\(parent)/ledger"
        identity = "\(parent)/operator"
        let writers: [LedgerWriter] = [.host(h1), .host(h2), .operator]
        keys = Dictionary(uniqueKeysWithValues: writers.map { ($0, SigningKey()) })
        let later = Instant.now + .seconds(86_400)
        roster = Roster(
            cluster: "test",
            number: 1,
            issuedAt: .now,
            anchors: [Roster.Anchor(certificate: "", revocations: "", key: authority.verification, expires: later)],
            members: keys.map {
                Roster.Member(name: $0, certificate: "", expires: later, keys: [$1.verification])
            }
        )
        try FileManager.default.createDirectory(atPath: identity, withIntermediateDirectories: false)
        let signed = try SignedRoster(roster, signedBy: [authority]).json
        try Data(signed).write(to: URL(fileURLWithPath: "\(identity)/roster.json"))
        let file = "\(identity)/key.pem"
        try Data((keys[.operator]?.pem ?? "").utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    }

    /// Signs a roster and writes it into the ledger's folder, and into `file` if given.
    func publish(_ roster: Roster, also other: String? = nil) throws {
        for path in ["\(folder)/roster.json", other].compactMap(\.self) {
            try Data(SignedRoster(roster, signedBy: [authority]).json).write(to: URL(fileURLWithPath: path))
        }
    }

    func security(of writer: LedgerWriter) -> LedgerSecurity { .signed(by: keys[writer]) { [roster] in roster } }

    func open(_ writer: LedgerWriter) -> SharedLog {
        SharedLog(folder: folder, writer: writer, security: security(of: writer))
    }

    /// Returns the ledger as a writer without a key opens it.
    func forged(_ writer: LedgerWriter) -> SharedLog { SharedLog(folder: folder, writer: writer, security: .unsigned) }

    func run(_ arguments: [String]) async throws -> CommandResult {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        return try await Command(
            program.appendingPathComponent("evenkeel").path,
            arguments + ["--ledger", folder, "--set", "identity.operator=\(identity)"],
            timeLimit: .seconds(60)
        ).result()
    }
}

/// Runs the body with a new site whose ledger the command has created.
func with(_ body: (Site) async throws -> Void) async throws {
    let parent = FileManager.default.temporaryDirectory.appendingPathComponent("ek-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: parent) }
    let site = try Site(in: parent.path)
    let created = try await site.run(["ledger", "create"])
    guard created.exitCode == 0 else { throw CreateFailed(reason: created.standardError) }
    try await body(site)
}

struct CreateFailed: Error {
    var reason: String
}
