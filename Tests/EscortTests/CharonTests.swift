// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Testing

@testable import Escort

@Suite struct CharonTests {
    @Test func `a list of SAs is read with both children of a rekeying`() throws {
        let associations = IKEAssociation.all(in: Recordings.listSAs)
        #expect(associations.map(\.name) == ["evenkeel-h2", "branch-office"])
        let first = try #require(associations.first)
        #expect(first.children.map(\.state) == ["DELETED", "INSTALLED"])
        let child = try #require(first.liveChild)
        #expect(child.outbound == TrafficCounters(bytes: 31_747_800, packets: 22677))
        #expect(MinimumSuite.aes256.weakness(of: first, child) == nil)
        let shown = SecurityAssociation(first, child, .userSpace)
        #expect(shown.suite == "AES_GCM_16-256/CURVE_25519")
        #expect(shown.ikeSuite == "IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519")
        #expect(shown.outboundSPI == "f369d76b" && shown.inboundSPI == "fa42b723")
        #expect(shown.mode == .tunnel && shown.encapsulated && shown.implementation == .userSpace)
        #expect(associations.last?.localIdentity == "C=CH, O=strongSwan, CN=a = b {")
        #expect(associations.last?.liveChild == nil)
    }

    private static let withoutExchange = "AES_GCM_16-256/PRF_HMAC_SHA2_256"

    @Test(
        arguments: [
            (
                "dh-group = CURVE_25519", "dh-group = MODP_1024",
                .ikeSuite(withoutExchange + "/MODP_1024", .aes256)
            ),
            (
                "encr-keysize = 256", "encr-keysize = 128",
                .ikeSuite("AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519", .aes256)
            ),
            (
                "encr-alg = AES_GCM_16", "encr-alg = NULL",
                .ikeSuite("NULL-256/PRF_HMAC_SHA2_256/CURVE_25519", .aes256)
            ),
            ("mode = TUNNEL", "mode = TRANSPORT", .mode(.other("TRANSPORT"))),
            ("protocol = ESP", "protocol = AH", .securityProtocol("AH")),
            ("version = 2", "version = 1", .ikeVersion("1")),
            ("dh-group = CURVE_25519", "", .ikeSuite(withoutExchange, .aes256)),
        ] as [(String, String, TunnelWeakness)]
    )
    func `a suite below the minimum is reported as weak`(
        strong: String,
        weak: String,
        weakness: TunnelWeakness
    ) throws {
        let text = replacing(strong, by: weak, in: Recordings.listSAs)
        let association = try #require(IKEAssociation.all(in: text).first)
        let child = try #require(association.liveChild)
        #expect(text != Recordings.listSAs)
        #expect(MinimumSuite.aes256.weakness(of: association, child) == weakness)
    }

    @Test func `an old association without a child has lost it`() throws {
        var association = try #require(IKEAssociation.all(in: Recordings.listSAs).first)
        #expect(association.age == 2)
        association.age = 600
        #expect(!association.hasLostItsChild)
        association.children = []
        #expect(association.hasLostItsChild)
        for age in [3, nil] {
            association.age = age
            #expect(!association.hasLostItsChild)
        }
    }

    @Test(arguments: ["", "}", "}\n}\n", "list-sa event {", "a = [", "{{{{", "list-sa event {\n x {\n state"])
    func `a truncated list is read without harm`(text: String) {
        #expect(IKEAssociation.all(in: text).allSatisfy { $0.liveChild == nil })
    }

    @Test func `the first kernel plugin names the ESP implementation`() async throws {
        let charon = Charon(
            runner: CommandRunner { _, _ in .init(exitCode: 0, standardOutput: Recordings.stats) },
            socket: nil
        )
        #expect(try await charon.implementation() == .userSpace)
        #expect(ESPImplementation(loadedPlugins: ["kernel-netlink", "kernel-libipsec"]) == .kernel)
        #expect(ESPImplementation(loadedPlugins: ["vici"]) == nil)
    }

    @Test func `a missing socket is reported as charon not running`() async {
        let charon = Charon(
            runner: CommandRunner { _, _ in .init(exitCode: 2, standardError: Recordings.noSocket) },
            socket: "unix:///tmp/none"
        )
        let error = await #expect(throws: EscortError.self) { try await charon.associations() }
        guard case .charonNotRunning = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(arguments: [
        ("[IKE] received AUTHENTICATION_FAILED notify error", EscortError.authenticationFailed("h2")),
        ("[IKE] received NO_PROPOSAL_CHOSEN notify error", .noProposalChosen("h2")),
        ("[IKE] received TS_UNACCEPTABLE notify, no CHILD_SA built", .differentSelectors("h2")),
    ])
    func `a failed handshake is reported by its cause`(said: String, error: EscortError) {
        let result = CommandResult(exitCode: 1, standardOutput: said)
        #expect(Mesh.reason(forFailed: result, "h2", socket: nil) == error)
    }

    private func replacing(_ old: String, by new: String, in text: String) -> String {
        var result = ""
        var rest = Substring(text)
        while !rest.isEmpty {
            if rest.hasPrefix(old) {
                result += new
                rest = rest.dropFirst(old.count)
            } else {
                result.append(rest.removeFirst())
            }
        }
        return result
    }
}
