// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Ledger
import Synchronization
import Testing

@testable import Identity

@Suite struct ClusterAuthorityTests {
    @Test func `a host's bundle has its own key and one certificate for all uses`() async throws {
        try await Cluster.with { cluster in
            try await cluster.authority.add(.controller, folder: cluster.memberFolder("controller"))
            let folder = try await cluster.add(1)
            let identity = try await folder.load()
            #expect(identity.name == .host(HostName("h1")))
            #expect(identity.facts.subject == "CN=h1")
            #expect(identity.certificate.names == ["h1", "10.0.0.1", "10.1.0.1"])
            let left = identity.facts.expires - .now
            #expect(left > .seconds(364 * 86400) && left <= .seconds(365 * 86400))
            #expect(identity.roster[identity.name]?.keys == [identity.signingKey.verification])
            // Another program confirms the uses as server and client.
            for purpose in ["sslserver", "sslclient"] {
                let paths = identity.paths
                let said = try await cluster.shell(
                    "openssl verify -purpose \(purpose) -verify_hostname h1 -x509_strict -crl_check"
                        + " -CAfile \(paths.anchors) -CRLfile \(paths.revocations) \(paths.certificate)"
                )
                #expect(said.hasSuffix("OK\n"))
            }
            let modes = try await cluster.shell("find \(cluster.folder) -name '*key.pem' -printf '%m '")
            #expect(modes == "600 600 600 ")
            let controller = try await cluster.member("controller").load()
            #expect(controller.name == .controller)
            #expect(controller.certificate.names.isEmpty)
        }
    }

    @Test func `existing files are not created again`() async throws {
        try await Cluster.with { cluster in
            await #expect(throws: IdentityError.exists(path: "\(cluster.folder)/cluster/roster.json")) {
                _ = try await ClusterAuthority.create(folder: "\(cluster.folder)/cluster")
            }
            try await cluster.add(1)
            await #expect(throws: IdentityError.alreadyMember(.host(HostName("h1")))) {
                try await cluster.add(1, into: "other")
            }
            // A second host cannot overwrite the first one's keys.
            await #expect(throws: IdentityError.exists(path: cluster.memberFolder("h1") + "/key.pem")) {
                try await cluster.add(2, into: "h1")
            }
        }
    }

    @Test func `two hosts cannot share an address until one is removed`() async throws {
        try await Cluster.with { cluster in
            try await cluster.add(1)
            func add(_ address: String, _ inner: String) async throws {
                let enrollment = try Enrollment.host(HostName("h2"), address: address, inner: inner)
                try await cluster.authority.add(enrollment, folder: cluster.memberFolder("h2"))
            }
            let h1 = LedgerWriter.host(HostName("h1"))
            for (address, inner, taken) in [
                ("10.0.0.1", "10.1.0.2", "10.0.0.1"), ("10.0.0.2", "10.1.0.1", "10.1.0.1"),
                ("10.1.0.1", "10.1.0.2", "10.1.0.1"),
            ] {
                await #expect(throws: IdentityError.addressTaken(taken, by: h1)) { try await add(address, inner) }
            }
            await #expect(throws: IdentityError.sameAddress("fd00::2")) { try await add("fd00::2", "FD00:0::2") }
            #expect(await cluster.authority.roster.members.count == 1)
            try await cluster.authority.remove(h1, reason: "gone", ends: [:])
            try await add("10.0.0.1", "10.1.0.1")
        }
    }

    @Test func `two commands cannot change the cluster at the same time`() async throws {
        try await Cluster.with { cluster in
            await #expect(throws: ProcessLock.Failure.self) {
                _ = try await ClusterAuthority.open(folder: "\(cluster.folder)/cluster")
            }
            withExtendedLifetime(cluster.authority) {}
        }
    }

    @Test func `a removed host is revoked with every certificate that it ever had`() async throws {
        try await Cluster.with { cluster in
            let first = try await cluster.add(1)
            try await cluster.add(2)
            let old = try await first.load().certificate.pem
            try await cluster.authority.renew()
            let ends = ["orders": Cursor(segment: 2, offset: 77)]
            try await cluster.authority.remove(.host(HostName("h1")), reason: "sold", ends: ends)
            let revocation = await cluster.authority.roster[.host(HostName("h1"))]?.revocation
            #expect(revocation?.reason == "sold" && revocation?.ends == ends)

            let other = cluster.member("h2")
            let change = try await other.update(from: await cluster.authority.signed)
            #expect(change.endedHosts == [HostName("h1")] && change.trustChanged)
            let paths = try await other.load().paths
            for pem in [old, await cluster.authority.roster[.host(HostName("h1"))]?.certificate ?? ""] {
                let file = "\(cluster.folder)/stolen.pem"
                try IdentityFiles.write(pem, to: file)
                let said = await #expect(throws: IdentityError.self) {
                    try await OpenSSL.verify(
                        certificate: file,
                        anchors: paths.anchors,
                        revocations: paths.revocations
                    )
                }
                #expect(said?.description.contains("revoked") == true)
            }
            // The host itself learns of it from the roster.
            _ = try await first.update(from: await cluster.authority.signed)
            let error = await #expect(throws: IdentityError.self) { try await first.load() }
            let words = try #require(error).description
            let since = try #require(await cluster.authority.roster.removedHosts[HostName("h1")]).readable
            #expect(
                words.contains("h1 was removed from the cluster on \(since): sold; 'evenkeel host add h1"),
                "\(words)"
            )
        }
    }

    @Test func `the roster lists every certificate of a host, and until when it counted`() async throws {
        let clock = Mutex(Instant.now)
        let start = clock.withLock { $0 }
        try await Cluster.with(now: { clock.withLock { $0 } }) { cluster in
            let h1 = LedgerWriter.host(HostName("h1"))
            var fingerprints: [String] = []
            func noteCurrent() async throws {
                let pem = try #require(await cluster.authority.roster[h1]?.certificate)
                fingerprints.append(try await Certificate(pem: pem, path: "h1").facts.fingerprint)
                clock.withLock { $0 = $0 + .seconds(100) }
            }
            func issued() async -> [IssuedCertificate] { await cluster.authority.roster[h1]?.issued ?? [] }
            try await cluster.add(1)
            try await noteCurrent()
            try await cluster.authority.renew()
            try await noteCurrent()
            #expect(await issued().map(\.endedAt) == [nil, nil], "a renewal revokes nothing")
            try await cluster.add(1, replacing: true, into: "again")
            try await noteCurrent()
            #expect(await issued().map(\.endedAt) == [start + .seconds(200), start + .seconds(200), nil])
            for _ in 1...3 { _ = try await cluster.authority.rotateAuthority(withoutWaiting: true) }
            try await noteCurrent()
            #expect(await issued().map(\.endedAt).suffix(2) == [start + .seconds(300), nil], "its authority is gone")
            try await cluster.authority.remove(h1, reason: "sold", ends: [:])
            #expect(await issued().last?.endedAt == start + .seconds(400))
            #expect(await issued().map(\.fingerprint) == fingerprints)
            #expect(await issued().map(\.issuedAt) == [0, 100, 200, 300].map { start + .seconds($0) })
            #expect(await Set(issued().map(\.authority)).count == 2)
        }
    }

    @Test func `a host that was removed offline gets its streams' ends with the first publication`() async throws {
        try await Cluster.with { cluster in
            try await cluster.add(1)
            let h1 = LedgerWriter.host(HostName("h1"))
            try await cluster.authority.remove(h1, reason: "stolen", ends: [:])
            let number = await cluster.authority.roster.number
            let ledger = "\(cluster.folder)/ledger"
            try await SharedLog.create(folder: ledger)
            try await SharedLog(folder: ledger, writer: .operator, security: .unsigned).append(
                OrderRecord.cancel(id: OrderID("o1"), at: .now, reason: "a test")
            )
            let ends = try await SharedLog.ends(folder: ledger)
            try await cluster.authority.publish(to: ledger)
            let roster = await cluster.authority.roster
            #expect(roster[h1]?.revocation?.ends == ends && ends["orders"].map { $0.offset > 0 } == true)
            #expect(roster.number == number + 1)
            let published = try SignedRoster(json: IdentityFiles.readPublished("\(ledger)/roster.json"))
            #expect(try published.unverified() == roster)
            // Once suffices: the ends do not change later.
            try await cluster.authority.publish(to: ledger)
            #expect(await cluster.authority.roster == roster)
        }
    }

    @Test func `new keys after a compromise invalidate the old ones`() async throws {
        try await Cluster.with { cluster in
            let stolen = try await cluster.add(1)
            let old = try await stolen.load()
            let fresh = try await cluster.add(1, replacing: true, into: "h1-new")
            let new = try await fresh.load()
            #expect(new.signingKey.verification != old.signingKey.verification)
            #expect(new.roster[new.name]?.keys == [new.signingKey.verification])
            await #expect(throws: IdentityError.self) {
                try await OpenSSL.verify(
                    certificate: old.certificatePath,
                    anchors: new.anchorsPath,
                    revocations: new.revocationsPath
                )
            }
            let change = try await stolen.update(from: await cluster.authority.signed)
            #expect(change.endedHosts == [HostName("h1")])
            await #expect(throws: IdentityError.replaced(.host(HostName("h1")))) { try await stolen.load() }
        }
    }

    @Test func `the next call completes one that was interrupted after the roster was written`() async throws {
        try await Cluster.with { cluster in
            let target = cluster.memberFolder("h1")
            _ = try await cluster.shell("mkdir -p \(target)/ca.pem")
            await #expect(throws: IdentityError.self) { try await cluster.add(1) }
            let name = LedgerWriter.host(HostName("h1"))
            let listed = try #require(await cluster.authority.roster[name]).keys
            #expect(try await cluster.authority.lacks(name))
            _ = try await cluster.shell("rmdir \(target)/ca.pem")
            let identity = try await cluster.add(1).load()
            #expect([identity.signingKey.verification] == listed)
            #expect(try await !cluster.authority.lacks(name))
            #expect(try await cluster.shell("find \(cluster.folder)/cluster -name '*.key.new'") == "")
            await #expect(throws: IdentityError.alreadyMember(name)) { try await cluster.add(1, into: "other") }
        }
    }

    @Test func `a stolen controller's key is replaced, and nothing that it signs counts`() async throws {
        try await Cluster.with { cluster in
            try await cluster.authority.add(.controller, folder: cluster.memberFolder("controller"))
            let stolen = cluster.member("controller")
            let old = try await stolen.load()
            try await cluster.authority.add(.controller, replacing: true, folder: cluster.memberFolder("fresh"))
            let new = try await cluster.member("fresh").load()
            #expect(new.signingKey.verification != old.signingKey.verification)
            #expect(new.roster[.controller]?.keys == [new.signingKey.verification])
            _ = try await stolen.update(from: await cluster.authority.signed)
            await #expect(throws: IdentityError.replaced(.controller)) { try await stolen.load() }
        }
    }

    @Test func `a roster is published only into a ledger, and never over a newer one`() async throws {
        try await Cluster.with { cluster in
            let ledger = "\(cluster.folder)/ledger"
            _ = try await cluster.shell("mkdir \(ledger)")
            await #expect(throws: IdentityError.self) { try await cluster.authority.publish(to: ledger) }
            #expect(try await cluster.shell("ls \(ledger)") == "", "an empty mount point stays empty")
            try await SharedLog.create(folder: ledger)
            try await cluster.authority.publish(to: ledger)
            try await cluster.authority.publish(to: ledger)
            _ = try await cluster.shell("cp -r \(cluster.folder)/cluster \(cluster.folder)/backup")
            try await cluster.add(1)
            try await cluster.authority.publish(to: ledger)

            let restored = try await ClusterAuthority.open(folder: "\(cluster.folder)/backup")
            let path = "\(ledger)/roster.json"
            let published = try await cluster.shell("cat \(path)")
            await #expect(throws: IdentityError.publishedIsNewer(path: path, published: 2, own: 1)) {
                try await restored.publish(to: ledger)
            }
            try await restored.add(.operator, folder: cluster.memberFolder("operator"))
            await #expect(throws: IdentityError.publishedIsNewer(path: path, published: 2, own: 2)) {
                try await restored.publish(to: ledger)
            }
            #expect(try await cluster.shell("cat \(path)") == published)
            // A forged roster is replaced.
            _ = try await cluster.shell("echo '{}' > \(path)")
            try await cluster.authority.publish(to: ledger)
            #expect(try await cluster.shell("cat \(path)") == published)
        }
    }

    @Test(arguments: ["h1,URI:evil", "h 1", "", "-h", "h1\n[x]", "h/1", "$ENV::HOME"])
    func `a name with other characters than a host name's is refused`(name: String) {
        #expect(throws: IdentityError.badName(name)) {
            try Enrollment.host(HostName(name), address: "10.0.0.1", inner: "10.1.0.1")
        }
        #expect(throws: IdentityError.badAddress("10.0.0.1,DNS:h2")) {
            try Enrollment.host(HostName("h1"), address: "10.0.0.1,DNS:h2", inner: "10.1.0.1")
        }
    }
}
