// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Identity
import Ledger
import Testing

@testable import Escort

extension RealMeshTests {
    @Test func `hosts mesh with their certificates, and both sides accept the other's`() async throws {
        try await CertifiedHosts.with(3) { certified in
            var meshes: [Mesh] = []
            for host in 1...3 { meshes.append(try await certified.mesh(host)) }
            for (from, to) in [(1, 2), (2, 3), (3, 1), (2, 1)] {
                let sa = try await meshes[from - 1].establish(with: certified.hosts.name(to))
                #expect(sa.localIdentity == "h\(from)" && sa.peerIdentity == "h\(to)")
                #expect(sa.suite == "AES_GCM_16-256/CURVE_25519")
            }
        }
    }

    @Test func `a rogue host with its own authority is refused everywhere`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            let rogue = try await ClusterAuthority.create(folder: hosts.folder + "/rogue")
            let rogueFolder = IdentityPaths(folder: hosts.folder + "/rogue-h2")
            try await rogue.add(
                Enrollment.host("h2", address: hosts.address(2), inner: hosts.inner(2)),
                folder: rogueFolder.folder
            )
            // The rogue trusts every authority.
            let own = certified.identityFolder(1).paths
            try await append(own, to: rogueFolder, hosts)
            let first = try await certified.mesh(1)
            let second = hosts.mesh(2, credentials: try CertifiedHosts.credentials(rogueFolder))
            try await second.apply(hosts.inventory())
            await #expect(throws: EscortError.authenticationFailed("h2")) { try await first.establish(with: "h2") }
            await #expect(throws: EscortError.self) { try await second.establish(with: "h1") }

            // The same attack on a host that trusts the rogue's authority.
            try await append(rogueFolder, to: own, hosts)
            try await first.use(try certified.credentials(1), hosts.inventory())
            _ = try await first.establish(with: "h2")
            _ = try await second.establish(with: "h1")
        }
    }

    @Test func `a certificate of the cluster is valid only for its own name`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            try await certified.add(3)
            let first = try await certified.mesh(1)
            // Host 2's machine has been taken over by an attacker who has the key of h3.
            let second = hosts.mesh(2, credentials: try certified.credentials(3))
            try await second.apply(hosts.inventory())
            await #expect(throws: EscortError.authenticationFailed("h2")) { try await first.establish(with: "h2") }
            await #expect(throws: EscortError.self) { try await second.establish(with: "h1") }

            try await second.use(try certified.credentials(2), hosts.inventory())
            _ = try await first.establish(with: "h2")
        }
    }

    @Test func `a revoked host is refused, and its running tunnel ends`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            let first = try await certified.mesh(1)
            let second = try await certified.mesh(2)
            _ = try await first.establish(with: "h2")
            try await certified.authority.remove(.host("h2"), reason: "stolen", ends: [:])
            // Until host 1 learns of the revocation, the stolen host gets in.
            _ = try await second.establish(with: "h1")

            let change = try await certified.identityFolder(1).update(from: await certified.authority.signed)
            #expect(change.endedHosts == ["h2"])
            try await first.use(try certified.credentials(1), hosts.inventory())
            try await first.end(change.endedHosts)
            await #expect(throws: EscortError.authenticationFailed("h2")) { try await first.establish(with: "h2") }
            await #expect(throws: EscortError.self) { try await second.establish(with: "h1") }
            #expect(try await hosts.swanctl(1, "--list-sas").contains("INSTALLED") == false)
        }
    }

    @Test func `an expired certificate is refused even while the earlier tunnel is up`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            let meshes = [try await certified.mesh(1), try await certified.mesh(2)]
            let sa = try await meshes[0].establish(with: "h2")
            try await certified.authority.renew([.host("h2")], lifetime: .seconds(12))
            let swap = try await certified.takeUp(2, meshes[1])
            #expect(swap == .accepted(by: ["h1"], unasked: [:]))
            // A move may begin with a certificate that is valid for some seconds more.
            _ = try await meshes[0].establish(with: "h2")
            let expires = try #require(await certified.authority.roster[.host("h2")]?.expires)
            try await hosts.eventually("the certificate expires", within: .seconds(30)) { .now > expires }
            try await Task.sleep(for: .seconds(1))
            await #expect(throws: EscortError.authenticationFailed("h2")) { try await meshes[0].establish(with: "h2") }
            await #expect(throws: EscortError.self) { try await meshes[1].establish(with: "h1") }
            // The SA of a running move is not cut.
            #expect(try await meshes[0].meshStatus().first?.association?.outboundSPI == sa.outboundSPI)
        }
    }

    private func append(_ source: IdentityPaths, to target: IdentityPaths, _ hosts: Hosts) async throws {
        try await hosts.shell(
            """
            cat \(source.anchors) >> \(target.anchors); cat \(source.revocations) >> \(target.revocations)
            """
        )
    }
}
