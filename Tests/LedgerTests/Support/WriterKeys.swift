// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger

/// Keys of hosts in a folder, as `ledger-writer` reads them.
struct WriterKeys {
    let folder: String
    private let keys: [String: SigningKey]
    private let roster: Roster

    init(folder: String, hosts: [String]) throws {
        self.folder = folder
        keys = Dictionary(uniqueKeysWithValues: hosts.map { ($0, SigningKey()) })
        roster = Roster(
            cluster: "test",
            number: 1,
            issuedAt: writtenAt,
            anchors: [],
            members: keys.map { TestCluster.member(.host(HostName($0)), $1) }
        )
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        for (host, key) in keys { try put(key.pem.utf8, into: "\(folder)/\(host).pem") }
        try put(try JSONEncoder().encode(roster), into: "\(folder)/roster")
    }

    func security(of host: String) -> LedgerSecurity { .signed(by: keys[host]) { [roster] in roster } }
}
