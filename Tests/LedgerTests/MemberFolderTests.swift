// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Ledger
import Testing

struct MemberFolderTests {
    private let authority = SigningKey()
    private let key = SigningKey()

    private func with(signedBy signer: SigningKey? = nil, _ body: (String) throws -> Void) async throws {
        try await withTemporaryFolder { folder in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            let anchor = Roster.Anchor(
                certificate: "",
                revocations: "",
                key: authority.verification,
                expires: Instant(milliseconds: 1 << 50)
            )
            let roster = Roster(
                cluster: "test",
                number: 7,
                issuedAt: writtenAt,
                anchors: [anchor],
                members: [TestCluster.member(h1, key)]
            )
            try put(try SignedRoster(roster, signedBy: [signer ?? authority]).json, into: "\(folder)/roster.json")
            try put(key.pem.utf8, into: "\(folder)/key.pem")
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(folder)/key.pem")
            try body(folder)
        }
    }

    private func signer(in security: LedgerSecurity) -> SigningKey? {
        guard case .signed(let key, _) = security else { return nil }
        return key
    }

    @Test func `a member signs with its key and verifies with its roster`() async throws {
        try await with { folder in
            let member = try MemberFolder(folder)
            #expect(member.roster.roster.number == 7)
            let security = try member.security(inLedger: folder, requiringKey: true)
            #expect(signer(in: security)?.verification == key.verification)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o620]) func `a key that others may use is refused`(mode: Int) async throws {
        try await with { folder in
            let file = "\(folder)/key.pem"
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
            #expect {
                try MemberFolder(folder).security(inLedger: folder, requiringKey: true)
            } throws: { error in
                "\(error)".contains("chmod 600 \(file)")
            }
        }
    }

    @Test func `a roster that others could have written is refused`() async throws {
        try await with { folder in
            let file = "\(folder)/roster.json"
            try FileManager.default.setAttributes([.posixPermissions: 0o664], ofItemAtPath: file)
            #expect { try MemberFolder(folder) } throws: { "\($0)".contains("chmod 644 \(file)") }
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
            // Only root can give a file away.
            guard geteuid() == 0 else { return }
            #expect(chown(file, 4711, 4711) == 0)
            #expect { try MemberFolder(folder) } throws: { "\($0)".contains("belongs to another user") }
        }
    }

    @Test(arguments: ["roster.json", "key.pem"]) func `a link in the folder is not followed`(name: String) async throws
    {
        try await with { folder in
            let file = "\(folder)/\(name)"
            try FileManager.default.moveItem(atPath: file, toPath: "\(folder)/elsewhere")
            try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "\(folder)/elsewhere")
            #expect {
                try MemberFolder(folder).security(inLedger: folder, requiringKey: true)
            } throws: { error in
                "\(error)".contains("not a regular file") && !"\(error)".contains("ledger.unsigned")
            }
        }
    }

    @Test func `a roster in the ledger's folder that is a link or a FIFO is ignored`() async throws {
        try await with { folder in
            let member = try MemberFolder(folder)
            let ledger = "\(folder)/ledger"
            try FileManager.default.createDirectory(atPath: ledger, withIntermediateDirectories: false)
            #expect(mkfifo("\(ledger)/roster.json", 0o600) == 0)
            member.adoptRoster(inLedger: ledger)
            try FileManager.default.removeItem(atPath: "\(ledger)/roster.json")
            try FileManager.default.createSymbolicLink(
                atPath: "\(ledger)/roster.json",
                withDestinationPath: "/dev/zero"
            )
            member.adoptRoster(inLedger: ledger)
            #expect(member.roster.roster.number == 7)
        }
    }

    @Test func `a folder without a key can only be used for reading`() async throws {
        try await with { folder in
            try FileManager.default.removeItem(atPath: "\(folder)/key.pem")
            let member = try MemberFolder(folder)
            #expect(signer(in: try member.security(inLedger: folder, requiringKey: false)) == nil)
            #expect(throws: MemberFolderError.self) { try member.security(inLedger: folder, requiringKey: true) }
        }
    }

    @Test(
        arguments: [
            (8, true, "test", 8), (6, true, "test", 7), (8, false, "test", 7), (8, true, "another", 7),
        ] as [(UInt64, Bool, String, UInt64)]
    )
    func `a published roster counts if it is newer and signed by a trusted authority`(
        number: UInt64,
        isTrusted: Bool,
        cluster: String,
        counts: UInt64
    ) async throws {
        try await with { folder in
            let member = try MemberFolder(folder)
            var next = member.roster.roster
            next.number = number
            next.cluster = cluster
            let ledger = "\(folder)/ledger"
            try FileManager.default.createDirectory(atPath: ledger, withIntermediateDirectories: false)
            let signed = try SignedRoster(next, signedBy: [isTrusted ? authority : SigningKey()])
            try put(try signed.json, into: "\(ledger)/roster.json")
            guard case .signed(_, let roster) = try member.security(inLedger: ledger, requiringKey: true) else {
                return
            }
            #expect(roster().number == counts)
        }
    }

    @Test func `a roster that none of its authorities signed is refused`() async throws {
        try await with(signedBy: SigningKey()) { folder in
            #expect {
                try MemberFolder(folder)
            } throws: { error in
                "\(error)".contains("roster.json: it is not a roster signed by one of its own authorities")
            }
        }
    }
}
