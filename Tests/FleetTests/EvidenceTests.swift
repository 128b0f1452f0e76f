// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Testing

struct EvidenceTests {
    private static let association = SecurityAssociation(
        localIdentity: "h1",
        peerIdentity: "h2",
        inboundSPI: "1",
        outboundSPI: "2",
        suite: "AES_GCM_16-256/CURVE_25519",
        ikeSuite: "IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519",
        mode: .tunnel,
        implementation: .userSpace,
        encapsulated: true
    )
    private static let certificate = CertificateFacts(
        subject: "CN=h2",
        issuer: "CN=ca",
        fingerprint: "ab",
        expires: Instant(milliseconds: 1000)
    )
    private static let session = SessionFacts(version: "TLSv1.3", suite: "TLS_AES_256_GCM_SHA384")
    private static let counters = Evidence.CounterSpan(
        before: TrafficCounters(bytes: 1, packets: 1),
        after: TrafficCounters(bytes: 9, packets: 2)
    )

    @Test(
        arguments: [
            (.plain, Evidence.Proof.none),
            (.ipsec, .tunnel(association: association, counters: counters, certificate: nil)),
            (
                .ipsecTLS,
                .tunnelledSession(
                    association: association,
                    counters: nil,
                    session: session,
                    certificate: certificate
                )
            ),
            (.tls, .session(session: session, certificate: certificate, counters: counters)),
            (.ssh, .hostKey(hostKey: "ssh-ed25519 SHA256:x", session: session, counters: nil)),
            (
                .sealed,
                .sealed(
                    image: SealedImage(bytes: 9, digest: "d", imageBytes: 8, stoppedAt: Instant(milliseconds: 5))
                )
            ),
        ] as [(Channel, Evidence.Proof)]
    )
    func `evidence of every channel survives JSON`(channel: Channel, proof: Evidence.Proof) throws {
        let evidence = Evidence(channel: channel, proof: proof, bytesOnPath: 9, bytesByHypervisor: 8, verdict: .covered)
        let json = try JSONEncoder().encode(evidence)
        #expect(try JSONDecoder().decode(Evidence.self, from: json) == evidence)
    }

    @Test(
        arguments: [
            (#""verdict":"measured""#, Evidence(channel: .ipsec, verdict: .unknown)),
            (#""verdict":"covered","proof":{"quantum":{}}"#, Evidence(channel: .ipsec, verdict: .unknown)),
            (#""verdict":"covered","bytesOnPath":"many""#, Evidence(channel: .ipsec, verdict: .unknown)),
            (#""proof":{"none":{}}"#, Evidence(channel: .ipsec, verdict: .unknown)),
            (
                #""verdict":"leak","proof":{"quantum":{}},"bytesOnPath":7"#,
                Evidence(channel: .ipsec, bytesOnPath: 7, verdict: .leak)
            ),
        ]
    )
    func `evidence with a value of another version ends its order and claims nothing`(
        fields: String,
        evidence: Evidence
    ) throws {
        let json = Data(#"{"channel":"ipsec",\#(fields)}"#.utf8)
        #expect(try JSONDecoder().decode(Evidence.self, from: json) == evidence)
        let report =
            #"{"order":"a","host":"h1","at":5,"step":{"done":{"outcome":{"startedAt":1,"endedAt":2},"evidence":"#
        let line = Data((report + String(decoding: json, as: UTF8.self) + "}}}").utf8)
        #expect(try JSONDecoder().decode(OrderReport.self, from: line).step.isFinal)
        let other = try JSONDecoder().decode(Evidence.self, from: Data(#"{"channel":"new","verdict":"covered"}"#.utf8))
        #expect(other == Evidence(channel: .plain, verdict: .unknown))
    }

    @Test func `the JSON keys of evidence are stable`() throws {
        let proof = Evidence.Proof.tunnel(association: Self.association, counters: nil, certificate: nil)
        let evidence = Evidence(channel: .ipsec, proof: proof, bytesOnPath: 9, verdict: .unknown)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        #expect(
            String(decoding: try encoder.encode(evidence), as: UTF8.self)
                == #"{"bytesOnPath":9,"channel":"ipsec","probes":[],"proof":{"tunnel":{"association":{"encapsulated":true,"#
                + #""ikeSuite":"IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519","implementation":"user space","#
                + #""inboundSPI":"1","localIdentity":"h1","mode":"TUNNEL","outboundSPI":"2","peerIdentity":"h2","#
                + #""suite":"AES_GCM_16-256/CURVE_25519"}}},"verdict":"unknown"}"#
        )
    }

    @Test func `evidence in the format before proofs is read without its details`() throws {
        let json = """
            {"channel": "ipsec", "association": {"mode": "TRANSPORT"}, "bytesThroughTunnel": 1, "bytesByHypervisor": 2,
            "verdict": "leak"}
            """
        let evidence = try JSONDecoder().decode(Evidence.self, from: Data(json.utf8))
        #expect(evidence == Evidence(channel: .ipsec, bytesByHypervisor: 2, verdict: .leak))
    }

    @Test func `an unknown strongSwan mode is kept as text`() throws {
        let mode = try JSONDecoder().decode([SecurityAssociation.Mode].self, from: Data(#"["BEET", "TUNNEL"]"#.utf8))
        #expect(mode == [.other("BEET"), .tunnel])
    }
}
