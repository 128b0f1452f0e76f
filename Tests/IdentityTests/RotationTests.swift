// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Ledger
import Synchronization
import Testing

@testable import Identity

@Suite struct RotationTests {
    /// Requires that for every two hosts, an anchor of one vouches for the other's certificate.
    private func requireCommonAnchors(
        _ folders: [IdentityFolder],
        sourceLocation: SourceLocation = #_sourceLocation
    )
        async throws
    {
        for own in folders {
            for peer in folders {
                try await OpenSSL.verify(
                    certificate: own.paths.certificate,
                    anchors: peer.paths.anchors,
                    revocations: peer.paths.revocations
                )
            }
        }
    }

    private func takeUp(_ cluster: Cluster, _ folder: IdentityFolder) async throws {
        _ = try await folder.update(from: await cluster.authority.signed)
        if let renewal = try await folder.load().renewal { _ = try await folder.install(certificate: renewal) }
    }

    @Test func `a rotation has three steps, and two hosts always share an anchor`() async throws {
        try await Cluster.with { cluster in
            let hosts = [try await cluster.add(1), try await cluster.add(2)]
            for host in hosts { try await takeUp(cluster, host) }
            let keys = try await hosts[0].load().signingKey.verification
            for expected in [RotationStep.introduced, .issued, .retired] {
                #expect(try await cluster.authority.rotateAuthority(withoutWaiting: true) == expected)
                // One host after the other: in between, one is a step ahead.
                for host in hosts {
                    try await takeUp(cluster, host)
                    try await requireCommonAnchors(hosts)
                }
            }
            let roster = await cluster.authority.roster
            #expect(roster.anchors.count == 1)
            let issuer = try await hosts[0].load()
            #expect(issuer.facts.issuer.contains(roster.anchors[0].key.id))
            #expect(issuer.signingKey.verification == keys)
        }
    }

    @Test func `the next step waits until all hosts can have received the previous one`() async throws {
        let clock = Mutex(Instant.now)
        try await Cluster.with(now: { clock.withLock { $0 } }) { cluster in
            try await cluster.add(1)
            #expect(try await cluster.authority.rotateAuthority() == .introduced)
            await #expect(throws: IdentityError.tooEarly(secondsLeft: 900)) {
                _ = try await cluster.authority.rotateAuthority()
            }
            #expect(await cluster.authority.roster.anchors.count == 2)
            clock.withLock { $0 = $0 + .seconds(901) }
            #expect(try await cluster.authority.rotateAuthority() == .issued)
        }
    }

    @Test func `a host that was off during the whole rotation receives the current state`() async throws {
        try await Cluster.with { cluster in
            let asleep = try await cluster.add(1)
            for _ in 1...3 { _ = try await cluster.authority.rotateAuthority(withoutWaiting: true) }
            try await takeUp(cluster, asleep)
            let identity = try await asleep.load()
            #expect(identity.roster == (await cluster.authority.roster))
            #expect(identity.renewal == nil)
        }
    }

    @Test func `a host that is added between the steps is known to all`() async throws {
        try await Cluster.with { cluster in
            let first = try await cluster.add(1)
            for number in 2...4 {
                _ = try await cluster.authority.rotateAuthority(withoutWaiting: true)
                let added = try await cluster.add(number)
                try await takeUp(cluster, first)
                try await requireCommonAnchors([first, added])
            }
        }
    }
}
