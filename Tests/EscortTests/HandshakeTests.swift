// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Testing

@testable import Escort

/// Parsing of the output of openssl and ssh, and the refusal of weak suites.
@Suite struct HandshakeTests {
    static let peer = MeshPlan.Member(
        name: "h2",
        address: IPAddress("10.77.0.2") ?? .loopback,
        inner: IPAddress("10.78.0.2") ?? .loopback,
        connection: "evenkeel-h2"
    )

    static let shown = """
        CONNECTED(00000003)
        ---
        Certificate chain
         0 s:CN = h2
        -----BEGIN CERTIFICATE-----
        MIIB
        -----END CERTIFICATE-----
        ---
        New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384
        Verify return code: 0 (ok)

        """
    static let described = """
        subject=CN=h2,O=c1
        issuer=CN=Evenkeel CA
        sha256 Fingerprint=AA:BB:0C
        notAfter=2027-11-25 12:30:00Z

        """

    /// Returns a runner that replays openssl's recorded output.
    static func openssl(_ shown: String) -> CommandRunner {
        CommandRunner { command, input in
            if command.program == "bash" { return CommandResult(exitCode: 0, standardOutput: shown) }
            #expect(input.hasPrefix("-----BEGIN CERTIFICATE-----\n"))
            return CommandResult(exitCode: 0, standardOutput: described)
        }
    }

    static let files = TLSFiles(certificate: "/c", key: "/k", anchors: "/a", revocations: "/r")

    @Test func `a handshake returns the session and the certificate`() async throws {
        let result = try await TLSHandshake(runner: Self.openssl(Self.shown), files: Self.files)
            .perform(with: Self.peer, minimum: .aes256, within: .seconds(1))
        #expect(result.session == SessionFacts(version: "TLSv1.3", suite: "TLS_AES_256_GCM_SHA384"))
        #expect(result.certificate.subject == "CN=h2,O=c1" && result.certificate.fingerprint == "aabb0c")
        #expect(result.certificate.expires == Instant(milliseconds: 1_827_145_800_000))
    }

    @Test func `a handshake that openssl refuses is reported by its reason alone`() async throws {
        let said = """
            4030D9E3267F0000:error:8000006F:system library:BIO_connect:Connection refused:../crypto/bio/bio_sock2.c:125:x
            verify error:num=18:self-signed certificate
            connect:errno=111

            """
        let refusing = CommandRunner { _, _ in CommandResult(exitCode: 1, standardError: said) }
        let error = await #expect(throws: EscortError.self) {
            try await TLSHandshake(runner: refusing, files: Self.files)
                .perform(with: Self.peer, minimum: .aes256, within: .seconds(1))
        }
        let words = try #require(error).description
        #expect(words.contains("(Connection refused; verify error:num=18:self-signed certificate; "), "\(words)")
    }

    @Test(arguments: ["TLS_AES_128_GCM_SHA256", "TLS_AES_128_CCM_SHA256"])
    func `a suite below the minimum is refused`(suite: String) async {
        let weak = Self.shown.replacing("TLS_AES_256_GCM_SHA384", with: suite)
        let handshake = TLSHandshake(runner: Self.openssl(weak), files: Self.files)
        let error = await #expect(throws: EscortError.self) {
            try await handshake.perform(with: Self.peer, minimum: .aes256, within: .seconds(1))
        }
        #expect(error.map { "\($0)".contains("below the minimum suite") } == true)
    }

    @Test func `each minimum suite has its own proposal`() {
        #expect(
            MinimumSuite.aes128.ikeProposals.contains("aes256") && MinimumSuite.aes128.ikeProposals.contains("aes128")
        )
        #expect(!MinimumSuite.aes256.espProposals.contains("aes128"))
    }

    @Test func `an ssh login reports cipher and host key, and uses the URI's port and key`() async throws {
        let access = SSHAccess(uriTemplate: "qemu+ssh://root@{address}:2222/system?keyfile=/etc/evenkeel/ssh/key")
        #expect(access.uri(of: Self.peer) == "qemu+ssh://root@10.77.0.2:2222/system?keyfile=/etc/evenkeel/ssh/key")
        let runner = CommandRunner { command, _ in
            #expect(command.arguments.contains("StrictHostKeyChecking=yes"))
            #expect(command.arguments.suffix(2) == ["root@10.77.0.2", "true"])
            #expect(command.arguments.contains("2222") && command.arguments.contains("/etc/evenkeel/ssh/key"))
            let said = """
                debug1: kex: client->server cipher: chacha20-poly1305@openssh.com MAC: <implicit> compression: none
                debug1: Server host key: ssh-ed25519 SHA256:abc
                """
            return CommandResult(exitCode: 0, standardError: said)
        }
        let result = try await SSHHandshake(runner: runner, access: access)
            .perform(with: Self.peer, minimum: .aes256, within: .seconds(2))
        #expect(result.session.suite == "chacha20-poly1305@openssh.com" && result.hostKey == "ssh-ed25519 SHA256:abc")
    }
}

extension IPAddress {
    fileprivate static var loopback: IPAddress {
        guard let address = IPAddress("127.0.0.1") else { preconditionFailure("127.0.0.1 is an address") }
        return address
    }
}
