// SPDX-License-Identifier: Apache-2.0
import Fleet
import Identity
import Ledger
import Testing

@testable import Escort

extension RealMeshTests {
    @Test func `renewed certificates and a new authority do not interrupt a transfer`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            let meshes = [try await certified.mesh(1), try await certified.mesh(2)]
            let sa = try await meshes[0].establish(with: "h2")
            let transfer = try await Transfer.start(hosts, to: hosts.inner(2))
            let meter = try await meshes[0].beginMove("h2")
            // Until the test ends it.
            let end = hosts.folder + "/end"
            async let sending: String = hosts.on(
                1,
                "n=0; { while [ ! -e \(end) ]; do head -c 500000 /dev/zero; n=$((n + 1)); sleep 0.1; done; }"
                    + " > /dev/tcp/\(hosts.inner(2))/\(Transfer.port); echo $n",
                timeLimit: .seconds(240)
            )
            try await hosts.eventually("it flows") { await meter.observe().bytes > 500_000 }

            func everybodyTakesUp(_ what: String) async throws {
                let began = ContinuousClock.now
                for host in 1...2 {
                    let swap = try await certified.takeUp(host, meshes[host - 1])
                    if let swap { #expect(swap == .accepted(by: [hosts.name(3 - host)], unasked: [:])) }
                }
                print("\(what): taken up by both hosts after \(ContinuousClock.now - began)")
            }
            try await certified.authority.renew()
            try await everybodyTakesUp("renewed certificates")
            for _ in 1...3 {
                let step = try await certified.authority.rotateAuthority(withoutWaiting: true)
                try await everybodyTakesUp("\(step)")
            }
            try await hosts.shell("touch \(end)")
            let size = try #require(UInt64(try await sending.trimmed)) * 500_000
            #expect(try await transfer.received() == size)
            let evidence = await meter.end(hypervisorBytes: size)
            #expect(evidence.verdict == .covered && evidence.droppedAtGates == 0)
            // The same SA as before, and not a reopened one.
            #expect(evidence.proof.association?.outboundSPI == sa.outboundSPI)
            #expect(await certified.authority.roster.anchors.count == 1)
            _ = try await meshes[1].establish(with: "h1")
        }
    }

    @Test func `a certificate that a peer refuses is rolled back`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let meshes = [try await certified.mesh(1), try await certified.mesh(2)]
            let sa = try await meshes[0].establish(with: "h2")
            // Host 2 does not receive the new authority.
            for _ in 1...2 { _ = try await certified.authority.rotateAuthority(withoutWaiting: true) }
            let swap = try await certified.takeUp(1, meshes[0])
            guard case .putBack(let peer, let reason) = swap else {
                Issue.record("\(String(describing: swap))")
                return
            }
            #expect(peer == "h2" && reason == EscortError.authenticationFailed("h2").description)
            let proven = try await meshes[0].establish(with: "h2")
            #expect(proven.outboundSPI == sa.outboundSPI)
            // Once host 2 has the new authority, the same certificate is accepted.
            try await certified.takeUp(2, meshes[1])
            #expect(try await certified.takeUp(1, meshes[0]) == .accepted(by: ["h2"], unasked: [:]))
            _ = try await meshes[0].establish(with: "h2")
        }
    }

    @Test func `a peer that is down delays no renewal and is named`() async throws {
        try await CertifiedHosts.with(3) { certified in
            var meshes: [Mesh] = []
            for host in 1...3 { meshes.append(try await certified.mesh(host)) }
            _ = try await meshes[0].establish(with: "h2")
            try await certified.hosts.killCharon(3)
            try await certified.authority.renew()
            guard case .accepted(let peers, let unasked) = try await certified.takeUp(1, meshes[0]) else {
                Issue.record("not accepted")
                return
            }
            #expect(peers == ["h2"] && Array(unasked.keys) == ["h3"])
        }
    }
}
