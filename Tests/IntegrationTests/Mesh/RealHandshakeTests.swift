// SPDX-License-Identifier: Apache-2.0
import Fleet
import Identity
import Ledger
import Testing

@testable import Escort

extension RealMeshTests {
    /// A real openssl replaces h2's libvirtd, with certificates of a real authority.
    @Test func `a TLS handshake requires a certificate of the cluster for this address`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let hosts = certified.hosts
            try await certified.add(3)
            let rogue = try await ClusterAuthority.create(folder: hosts.folder + "/rogue")
            let rogueFolder = IdentityPaths(folder: hosts.folder + "/rogue-h2")
            let asH2 = try Enrollment.host("h2", address: hosts.address(2), inner: hosts.inner(2))
            try await rogue.add(asH2, folder: rogueFolder.folder)

            let good = try await certified.shakeHands(serverWith: certified.identityFolder(2).paths)
            #expect(good.certificate.subject.contains("CN=h2") && good.session.version == "TLSv1.3")
            // Another host of the cluster in its place, and an unknown host.
            await #expect(throws: EscortError.self) {
                try await certified.shakeHands(serverWith: certified.identityFolder(3).paths)
            }
            await #expect(throws: EscortError.self) { try await certified.shakeHands(serverWith: rogueFolder) }
            await #expect(throws: EscortError.self) {
                try await certified.shakeHands(serverWith: certified.identityFolder(2).paths, options: "-tls1_1")
            }
            let weak = await #expect(throws: EscortError.self) {
                try await certified.shakeHands(
                    serverWith: certified.identityFolder(2).paths,
                    options: "-ciphersuites TLS_AES_128_GCM_SHA256"
                )
            }
            #expect(weak.map { "\($0)".contains("below the minimum suite") } == true)
        }
    }

    @Test func `a TLS handshake applies revocations, and accepts two authorities during a rotation`() async throws {
        try await CertifiedHosts.with(2) { certified in
            let old = certified.identityFolder(2).paths
            _ = try await certified.shakeHands(serverWith: old)
            // Two authorities: h2's certificate is from the new one, and h1 trusts both.
            for _ in 1...2 { _ = try await certified.authority.rotateAuthority(withoutWaiting: true) }
            for host in 1...2 {
                _ = try await certified.identityFolder(host).update(from: await certified.authority.signed)
                if let renewal = try await certified.identityFolder(host).load().renewal {
                    _ = try await certified.identityFolder(host).install(certificate: renewal)
                }
            }
            #expect(await certified.authority.roster.anchors.count == 2)
            _ = try await certified.shakeHands(serverWith: certified.identityFolder(2).paths)

            try await certified.authority.remove(.host("h2"), reason: "stolen", ends: [:])
            _ = try await certified.shakeHands(serverWith: certified.identityFolder(2).paths)
            _ = try await certified.identityFolder(1).update(from: await certified.authority.signed)
            await #expect(throws: EscortError.self) {
                try await certified.shakeHands(serverWith: certified.identityFolder(2).paths)
            }
        }
    }
}

extension CertifiedHosts {
    /// Runs host 1's handshake with h2's TLS port, where a real openssl listens with the given identity.
    @discardableResult
    func shakeHands(serverWith paths: IdentityPaths, options: String = "") async throws -> TLSHandshake.Result {
        try await withTLS(servedWith: paths, options: options) {
            let peer = try MeshPlan(inventory: hosts.inventory([1, 2]), local: "h1").peer("h2")
            return try await TLSHandshake(runner: hosts.runner(1), files: tlsFiles(1))
                .perform(with: peer, minimum: .aes256, within: .seconds(5))
        }
    }

    func tlsFiles(_ host: Int) -> TLSFiles {
        let own = identityFolder(host).paths
        return TLSFiles(
            certificate: own.certificate,
            key: own.key,
            anchors: own.anchors,
            revocations: own.revocations
        )
    }

    /// Runs the body while a real openssl listens in place of h2's libvirtd.
    func withTLS<Value>(
        servedWith paths: IdentityPaths,
        options: String = "",
        _ body: () async throws -> Value
    ) async throws -> Value {
        let log = hosts.folder + "/s_server"
        try await hosts.shell(
            """
            cat \(paths.anchors) > \(log).ca
            ip netns exec \(hosts.namespace(2)) openssl s_server -accept \(hosts.address(2)):\(TLSHandshake.port) \
            -cert \(paths.certificate) -key \(paths.key) -CAfile \(log).ca -Verify 4 -rev \(options) \
            > \(log).log 2>&1 < /dev/null &
            echo $! > \(log).pid
            """
        )
        try await hosts.eventually("openssl listens") {
            try await hosts.shell("cat \(log).log").contains("ACCEPT")
        }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try await hosts.shell("kill $(cat \(log).pid); while [ -d /proc/$(cat \(log).pid) ]; do sleep 0.02; done")
        return try result.get()
    }
}

extension Hosts {
    /// Captures the LAN until `endCapture`.
    func startCapture(to file: String) async throws {
        try await shell(
            """
            ip netns exec \(lan) tcpdump -i br0 -B 32768 -U -w \(file) 2> \(file).log < /dev/null > /dev/null &
            echo $! > \(file).pid
            """
        )
        try await eventually("tcpdump listens") { try await shell("cat \(file).log").contains("listening on") }
    }

    /// Ends the capture and returns the number of markers in it.
    func endCapture(_ file: String, counting marker: String) async throws -> Int {
        try await shell("kill $(cat \(file).pid); while [ -d /proc/$(cat \(file).pid) ]; do sleep 0.02; done")
        return Int(try await shell("grep -a -o \(marker) \(file) | wc -l").trimmed) ?? -1
    }
}
