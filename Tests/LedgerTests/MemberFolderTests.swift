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

    @Test func aMemberSignsWithItsKeyAndVerifiesByItsRoster() async throws {
        try await with { folder in
            let member = try MemberFolder(folder)
            #expect(member.roster.roster.number == 7)
            let security = try member.security(requiringKey: true)
            #expect(signer(in: security)?.verification == key.verification)
        }
    }

    @Test(arguments: [0o640, 0o604, 0o620]) func aKeyThatOthersMayUseIsRefused(mode: Int) async throws {
        try await with { folder in
            let file = "\(folder)/key.pem"
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
            #expect {
                try MemberFolder(folder).security(requiringKey: true)
            } throws: { error in
                "\(error)".contains("chmod 600 \(file)")
            }
        }
    }

    @Test func aFolderWithoutAKeyIsGoodForReadingAlone() async throws {
        try await with { folder in
            try FileManager.default.removeItem(atPath: "\(folder)/key.pem")
            let member = try MemberFolder(folder)
            #expect(signer(in: try member.security(requiringKey: false)) == nil)
            #expect(throws: MemberFolderError.self) { try member.security(requiringKey: true) }
        }
    }

    @Test func aRosterThatNoneOfItsAuthoritiesSignedIsRefused() async throws {
        try await with(signedBy: SigningKey()) { folder in
            #expect {
                try MemberFolder(folder)
            } throws: { error in
                "\(error)".contains("roster.json: it is no roster that one of its own authorities signed")
            }
        }
    }
}
