// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Ledger
import Synchronization
import Testing

@testable import Identity

@Suite struct IdentityFolderTests {
    @Test(arguments: ["chmod 640 key.pem", "chmod 604 key.pem", "chown 4242 key.pem", "mv key.pem k; ln -s k key.pem"])
    func `a key that others could have read is refused`(spoil: String) async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            _ = try await folder.load()
            _ = try await cluster.shell("cd \(cluster.memberFolder("h1")); \(spoil)")
            let error = await #expect(throws: IdentityError.self) { try await folder.load() }
            guard case .file(let path, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(path == folder.paths.key)
        }
    }

    @Test func `a roster or certificate that others could write is refused`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            for path in [folder.paths.roster, folder.paths.certificate] {
                _ = try await cluster.shell("chmod 666 \(path)")
                await #expect(throws: IdentityError.self) { try await folder.load() }
                _ = try await cluster.shell("chmod 644 \(path)")
                _ = try await folder.load()
            }
        }
    }

    @Test func `a key and a certificate of two members do not match`() async throws {
        try await Cluster.with { cluster in
            let first = try await cluster.add(1)
            let second = try await cluster.add(2)
            _ = try await cluster.shell("cp \(second.paths.certificate) \(first.paths.certificate)")
            let mismatch = IdentityError.keyMismatch(key: first.paths.key, certificate: first.paths.certificate)
            // Its own roster is older than the second member's, whose roster lists its key.
            await #expect(throws: mismatch) { try await first.load() }
        }
    }

    @Test func `an expired or not yet valid certificate is refused`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1, lifetime: .seconds(30 * 86400))
            _ = try await folder.load()
            let later = IdentityFolder(folder.paths.folder) { .now + .seconds(31 * 86400) }
            let expired = await #expect(throws: IdentityError.self) { try await later.load() }
            guard case .expired = expired else { Issue.record("\(String(describing: expired))"); return }
            let earlier = IdentityFolder(folder.paths.folder) { .now - .seconds(86400) }
            let early = await #expect(throws: IdentityError.self) { try await earlier.load() }
            guard case .notYetValid = early else { Issue.record("\(String(describing: early))"); return }
        }
    }

    @Test func `a certificate of another cluster's authority is refused`() async throws {
        try await Cluster.with { cluster in
            try await Cluster.with { other in
                let folder = try await cluster.add(1)
                try await other.add(1)
                for name in ["key.pem", "certificate.pem"] {
                    _ = try await cluster.shell("cp \(other.memberFolder("h1"))/\(name) \(cluster.memberFolder("h1"))")
                }
                await #expect(throws: IdentityError.replaced(.host(HostName("h1")))) { try await folder.load() }
                let identity = try await other.member("h1").load()
                await #expect(throws: IdentityError.self) {
                    try await OpenSSL.verify(
                        certificate: identity.certificatePath,
                        anchors: folder.paths.anchors,
                        revocations: folder.paths.revocations
                    )
                }
            }
        }
    }

    @Test func `a roster that is rolled back or forged is reported and not adopted`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            let old = await cluster.authority.signed
            try await cluster.add(2)
            let new = await cluster.authority.signed
            #expect(try await folder.update(from: new).isNew)
            #expect(try await folder.update(from: new).isNew == false)
            let number = await cluster.authority.roster.number
            await #expect(throws: IdentityError.rolledBack(seen: number, published: number - 1)) {
                try await folder.update(from: old)
            }
            try await Cluster.with { other in
                for number in 1...5 { try await other.add(number) }
                let stranger = await other.authority.signed
                await #expect(throws: IdentityError.self) { try await folder.update(from: stranger) }
            }
            // One byte of the text is changed, or the text is under another's signature.
            var altered = new
            altered.roster = altered.roster.split(separator: "h2").joined(separator: "h3")
            #expect(altered.roster != new.roster)
            await #expect(throws: IdentityError.foreignRoster(path: "roster.json")) {
                try await folder.update(from: altered)
            }
            #expect(try await folder.load().roster.number == number)
        }
    }

    @Test func `changed copies are restored from the roster`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            let before = try IdentityFiles.read(folder.paths.anchors)
            try IdentityFiles.write("", to: folder.paths.anchors)
            _ = try await folder.load()
            #expect(try IdentityFiles.read(folder.paths.anchors) == before)
        }
    }

    @Test func `a renewed certificate keeps its key, is installed separately, and can be rolled back`() async throws {
        try await Cluster.with { cluster in
            let folder = try await cluster.add(1)
            let old = try await folder.load()
            #expect(old.renewal == nil)
            try await cluster.authority.renew()
            _ = try await folder.update(from: await cluster.authority.signed)
            let waiting = try await folder.load()
            #expect(waiting.facts == old.facts)
            let pem = try #require(waiting.renewal)
            let new = try await folder.install(certificate: pem)
            #expect(new.facts != old.facts && new.renewal == nil)
            #expect(new.signingKey.verification == old.signingKey.verification)
            #expect(try await folder.install(certificate: old.certificate.pem).renewal == pem)
            let other = try await cluster.add(2).load()
            await #expect(throws: IdentityError.self) { try await folder.install(certificate: other.certificate.pem) }
            #expect(try await folder.load().facts == old.facts)
        }
    }
}
