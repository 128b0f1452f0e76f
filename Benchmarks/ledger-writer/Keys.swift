// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Ledger

/// A folder with a key for each writer and the roster that lists them.
struct Keys {
    let folder: String

    private var rosterFile: URL { URL(fileURLWithPath: "\(folder)/roster") }
    private func file(of name: String) -> String { "\(folder)/\(name).pem" }

    /// Creates the folder with keys for these hosts.
    static func make(in folder: String, for names: [String]) throws -> Keys {
        let keys = Keys(folder: folder)
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        var members: [Roster.Member] = []
        let later = Instant(milliseconds: 1 << 50)
        for name in names {
            let key = SigningKey()
            let isMade = FileManager.default.createFile(
                atPath: keys.file(of: name),
                contents: Data(key.pem.utf8),
                attributes: [.posixPermissions: 0o600]
            )
            guard isMade else { throw CocoaError(.fileWriteUnknown) }
            members.append(
                Roster.Member(name: .host(HostName(name)), certificate: "", expires: later, keys: [key.verification])
            )
        }
        let roster = Roster(cluster: "bench", number: 1, issuedAt: .now, anchors: [], members: members)
        try JSONEncoder().encode(roster).write(to: keys.rosterFile)
        return keys
    }

    /// Returns the security with which a writer opens the ledger; `nil` as the name for a reader without a key.
    func security(of name: String?) throws -> LedgerSecurity {
        let roster = try JSONDecoder().decode(Roster.self, from: Data(contentsOf: rosterFile))
        let key = try name.map { try SigningKey(pem: String(contentsOfFile: file(of: $0), encoding: .utf8)) }
        return .signed(by: key) { roster }
    }
}
