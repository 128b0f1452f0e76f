// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import TestSupport
import Testing

/// The findings of a check of reports: none for sound ones, and one for each alteration.
struct EvidenceCheckTests {
    typealias Finding = EvidenceCheck.Finding

    /// The parts of the proof of a sound move over `ipsec+tls`.
    struct Parts: Sendable {
        var association = SecurityAssociation.sample
        var counters = Evidence.CounterSpan(
            before: TrafficCounters(bytes: 1000, packets: 10),
            after: TrafficCounters(bytes: 101_000, packets: 110)
        )
        var session = SessionFacts(version: "TLSv1.3", suite: "TLS_AES_256_GCM_SHA384")
        var certificate = CertificateFacts(
            subject: "O=evenkeel, CN=h2",
            issuer: "CN=evenkeel CA",
            fingerprint: "ab12",
            expires: .second(86400)
        )
        var proof: Evidence.Proof {
            .tunnelledSession(
                association: association,
                counters: counters,
                session: session,
                certificate: certificate
            )
        }
    }

    private static let evidence = Evidence(
        channel: .ipsecTLS,
        proof: Parts().proof,
        bytesOnPath: 100_000,
        bytesByHypervisor: 90_000,
        droppedAtGates: 0,
        probes: [GateProbe(address: "10.0.0.2", port: 49152, at: .second(3), outcome: .shut)],
        verdict: .covered
    )

    /// Returns the sound move's evidence with other parts in its proof.
    private static func evidence(_ change: (inout Parts) -> Void) -> Evidence {
        var parts = Parts()
        change(&parts)
        var changed = evidence
        changed.proof = parts.proof
        return changed
    }

    private static var order: MigrationOrder {
        var made = CoordinationTests.order
        made.channel = .ipsecTLS
        made.definition = "d1"
        made.notBefore = .second(0)
        return made
    }

    private static var needs: VMRequirements {
        var needs = requirements
        needs.definition = "d1"
        return needs
    }

    private static func steps(_ evidence: Evidence = evidence) -> [OrderReport] {
        let outcome = MigrationOutcome(startedAt: .second(4), endedAt: .second(9), bytesTransferred: 90_000)
        return [
            report("h1", 1, .accepted(requirements: needs)), report("h2", 3, .prepared()),
            report("h1", 4, .running(progress: begin)), report("h1", 6, .running(progress: progress)),
            report("h1", 9, .done(outcome: outcome, evidence: evidence)),
        ]
    }

    private func findings(_ reports: [OrderReport], of order: MigrationOrder = Self.order) -> [Finding] {
        EvidenceCheck(order, reports: reports).findings
    }

    @Test func `a step of another version makes a move unproven, and is no violation`() {
        var steps = Self.steps()
        for place in [0, 2, 5] { steps.insert(report("h2", 2, .notUnderstood(step: "verified")), at: place) }
        steps.insert(report("h3", 2, .notUnderstood(step: "observed")), at: 1)
        let check = EvidenceCheck(Self.order, reports: steps)
        #expect(
            check.findings == EvidenceCheck(Self.order, reports: Self.steps()).findings + [.missing(.step("verified"))]
        )
        #expect(check.unproven && !check.failed)
    }

    @Test func `a sound move has no findings`() {
        let check = EvidenceCheck(Self.order, reports: Self.steps())
        #expect(check.findings == [] && !check.failed && check.stage == .done)
    }

    struct Tampering<Subject>: Sendable {
        let change: @Sendable (inout Subject) -> Void
        let expected: Finding
        init(_ expected: Finding, _ change: @escaping @Sendable (inout Subject) -> Void) {
            self.change = change
            self.expected = expected
        }
    }

    private static func probe(_ outcome: GateProbe.Outcome) -> GateProbe {
        GateProbe(address: "10.0.0.2", port: 49152, at: .second(3), outcome: outcome)
    }

    static let tamperedEvidence: [Tampering<Evidence>] = [
        Tampering(.path(.leak(onPath: 100_000, sent: 90_000))) { $0.verdict = .leak },
        Tampering(.path(.coveredWithoutFigures)) { $0.bytesOnPath = nil },
        Tampering(.path(.wrongVerdict(.unprotected, .ipsecTLS))) { $0.verdict = .unprotected },
        Tampering(.path(.otherFigures(evidence: 50000, outcome: 90_000))) { $0.bytesByHypervisor = 50000 },
        Tampering(.path(.otherChannel(.tls, ordered: .ipsecTLS))) { $0.channel = .tls },
        Tampering(.proof(.missing(.ipsecTLS))) { $0.proof = .none },
        Tampering(.proof(.missing(.ipsecTLS))) {
            $0.proof = .tunnel(association: .sample, counters: nil, certificate: nil)
        },
        Tampering(.gates(.portOpen(probe(.open)))) { $0.probes[0].outcome = .open },
    ]

    @Test(arguments: tamperedEvidence) func `tampered evidence is found`(_ tampering: Tampering<Evidence>) {
        var evidence = Self.evidence
        tampering.change(&evidence)
        #expect(findings(Self.steps(evidence)) == [tampering.expected])
    }

    private static let oldIKE = "IKEv1 AES_GCM_16-256/CURVE_25519"
    private static let weakIKE = "IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/MODP_2048"
    private static let noAEAD = "AES_CBC-256/HMAC_SHA2_256_128/CURVE_25519"
    private static let weakESP = "AES_GCM_16-128/CURVE_25519"
    private static let oldTLS = SessionFacts(version: "TLSv1.1", suite: "TLS_AES_256_GCM_SHA384")
    private static let weakTLS = SessionFacts(version: "TLSv1.3", suite: "TLS_AES_128_GCM_SHA256")

    static let tamperedProofs: [Tampering<Parts>] = [
        Tampering(.path(.countersFell)) { $0.counters.after.bytes = 0 },
        Tampering(.path(.counterAboveTotal(200_000, total: 100_000))) { $0.counters.after.bytes = 201_000 },
        Tampering(.path(.impossiblePackets(TrafficCounters(bytes: 100_000, packets: 0)))) {
            $0.counters.after.packets = 10
        },
        Tampering(.proof(.wrongIdentity("h3", h1))) { $0.association.localIdentity = "h3" },
        Tampering(.proof(.wrongIdentity("CN=h22", h2))) { $0.association.peerIdentity = "CN=h22" },
        Tampering(.proof(.wrongIdentity("CN=h2, CN=h3", h2))) { $0.association.peerIdentity = "CN=h2, CN=h3" },
        Tampering(.proof(.notIKEv2(oldIKE))) { $0.association.ikeSuite = oldIKE },
        Tampering(.proof(.weakIKE(weakIKE, .aes256))) { $0.association.ikeSuite = weakIKE },
        Tampering(.proof(.weakESP(noAEAD, .aes256))) { $0.association.suite = noAEAD },
        Tampering(.proof(.weakESP(weakESP, .aes256))) { $0.association.suite = weakESP },
        Tampering(.proof(.notTunnelMode(.other("PASS")))) { $0.association.mode = .other("PASS") },
        Tampering(.proof(.notTunnelMode(.other("TRANSPORT")))) { $0.association.mode = .other("TRANSPORT") },
        Tampering(.proof(.noSPI)) { $0.association.inboundSPI = "" },
        Tampering(.proof(.weakSession(oldTLS, .aes256))) { $0.session = oldTLS },
        Tampering(.proof(.weakSession(weakTLS, .aes256))) { $0.session = weakTLS },
        Tampering(.certificate(.ofAnother("CN=h3", h2))) { $0.certificate.subject = "CN=h3" },
        Tampering(.certificate(.expired)) { $0.certificate.expires = .second(2) },
    ]

    @Test(arguments: tamperedProofs) func `a tampered proof is found`(_ tampering: Tampering<Parts>) {
        #expect(findings(Self.steps(Self.evidence(tampering.change))) == [tampering.expected])
    }

    @Test func `a verdict that the figures do not support is found`() {
        var evidence = Self.evidence { $0.counters.after.bytes = 90999 }
        evidence.bytesOnPath = 89999
        #expect(findings(Self.steps(evidence)) == [.path(.notCovered(onPath: 89999, sent: 90_000))])
    }

    @Test func `a step of the wrong host, out of order or out of time is found`() {
        var steps = Self.steps()
        steps[1].host = h1
        #expect(findings(steps).contains(.step(.wrongReporter(h1, .prepared, owner: h2))))
        steps = Self.steps()
        steps[4].host = HostName("h3")
        #expect(findings(steps).contains(.step(.stranger(HostName("h3"), .done))))
        steps = Self.steps()
        steps.remove(at: 1)
        #expect(findings(steps) == [.step(.missing(.prepared))])
        steps = Self.steps()
        steps.swapAt(1, 2)
        #expect(findings(steps) == [.step(.outOfOrder)])
        steps = Self.steps()
        steps.append(steps[4])
        #expect(findings(steps) == [.step(.doneAgain)], "an append that was not confirmed is made again")
        steps[5].at = .second(10)
        #expect(findings(steps) == [.step(.doneTwice)])
        steps = Self.steps()
        steps[2].at = .second(1000)
        #expect(findings(steps) == [.step(.beganLate)])
        steps = Self.steps()
        steps[0].at = .second(1000)
        #expect(findings(steps) == [.step(.acceptedLate)])
        var future = Self.order
        future.notBefore = .second(100)
        #expect(findings(Self.steps(), of: future) == [.step(.beganEarly)])
        var other = Self.order
        other.definition = "d2"
        guard case .step(.otherDefinition) = findings(Self.steps(), of: other).first else {
            Issue.record("\(findings(Self.steps(), of: other))")
            return
        }
    }

    @Test func `a move without figures or probes is unproven`() {
        var evidence = Self.evidence
        (evidence.verdict, evidence.bytesOnPath) = (.unknown, nil)
        #expect(findings(Self.steps(evidence)) == [.missing(.verdict)])
        evidence = Self.evidence
        evidence.probes = []
        #expect(findings(Self.steps(evidence)) == [.missing(.probes)])
        evidence.probes = [Self.probe(.unknown)]
        #expect(
            findings(Self.steps(evidence)) == [.gates(.portNotProbed(Self.probe(.unknown))), .missing(.probeResults)]
        )
        #expect(!EvidenceCheck(Self.order, reports: Self.steps()).unproven)
        // An unfinished move neither proves nor claims anything.
        #expect(findings(Array(Self.steps().dropLast())) == [])
    }

    @Test func `a move whose result was found after a restart is unproven`() {
        let note = "found out after a restart"
        func end(_ bytes: UInt64?, _ evidence: Evidence) -> [Finding] {
            var steps = Self.steps()
            let outcome = MigrationOutcome(
                startedAt: .second(4),
                endedAt: .second(9),
                bytesTransferred: bytes,
                note: note
            )
            steps[4].step = .done(outcome: outcome, evidence: evidence)
            return findings(steps)
        }
        #expect(end(90_000, Self.evidence) == [.missing(.end(note: note))])
        let nothing = Evidence(channel: .ipsecTLS, verdict: .unknown)
        #expect(end(nil, nothing) == [.missing(.verdict), .missing(.probes), .missing(.end(note: note))])
    }

    @Test func `packets dropped at the gates are a note`() {
        var evidence = Self.evidence
        evidence.droppedAtGates = nil
        let check = EvidenceCheck(Self.order, reports: Self.steps(evidence))
        #expect(!check.failed && !check.unproven && check.findings == [.gates(.dropsNotCounted)])
        evidence.droppedAtGates = 7
        #expect(findings(Self.steps(evidence)) == [.gates(.dropped(packets: 7))])
    }

    @Test func `a move in the clear is no failure if it was ordered by name`() {
        var plain = Self.order
        plain.channel = .plain
        let evidence = Evidence(channel: .plain, bytesByHypervisor: 90_000, verdict: .unprotected)
        let check = EvidenceCheck(plain, reports: Self.steps(evidence))
        #expect(!check.failed && check.findings == [.path(.inTheClear)])
        #expect(findings(Self.steps(evidence)).contains(.path(.otherChannel(.plain, ordered: .ipsecTLS))))
        #expect(findings(Self.steps(), of: plain).contains(.path(.wrongVerdict(.covered, .plain))))
    }

    @Test func `a missing certificate is a note with pre-shared keys`() {
        var ipsec = Self.order
        ipsec.channel = .ipsec
        var evidence = Self.evidence
        evidence.channel = .ipsec
        evidence.proof = .tunnel(association: .sample, counters: nil, certificate: nil)
        #expect(findings(Self.steps(evidence), of: ipsec) == [.certificate(.none)])
        evidence.proof = .tunnel(association: .sample, counters: nil, certificate: Parts().certificate)
        #expect(findings(Self.steps(evidence), of: ipsec) == [])
    }

    @Test func `the policy sets the minimum suite`() {
        let evidence = Self.evidence {
            $0.association.suite = "AES_GCM_16-128/CURVE_25519"
            $0.session = Self.weakTLS
        }
        #expect(findings(Self.steps(evidence)).count == 2)
        #expect(EvidenceCheck(Self.order, reports: Self.steps(evidence), minimum: .aes128).findings == [])
    }

    @Test func `ssh needs a host key and a strong cipher`() {
        var ssh = Self.order
        ssh.channel = .ssh
        var evidence = Self.evidence
        evidence.channel = .ssh
        let strong = SessionFacts(version: "SSH-2.0", suite: "aes256-gcm@openssh.com")
        evidence.proof = .hostKey(hostKey: "ssh-ed25519 SHA256:abc", session: strong, counters: nil)
        #expect(findings(Self.steps(evidence), of: ssh) == [])
        let weak = SessionFacts(version: "SSH-2.0", suite: "aes128-ctr")
        evidence.proof = .hostKey(hostKey: "", session: weak, counters: nil)
        #expect(
            findings(Self.steps(evidence), of: ssh) == [.proof(.noHostKey), .proof(.weakSession(weak, .aes256))]
        )
    }

    private func certificateFindings(
        _ issued: [IssuedCertificate]?,
        expires: Instant = .second(86400)
    ) -> [Finding] {
        let evidence = Self.evidence { $0.certificate.expires = expires }
        let certificates = issued.map { [h2: $0] } ?? [:]
        return EvidenceCheck(Self.order, reports: Self.steps(evidence), certificates: certificates).findings
    }

    @Test func `the target's certificate is compared with the roster of that time`() {
        // The move begins at second 4.
        func issued(_ at: Int = -5000, ended: Int? = nil, fingerprint: String = "ab12") -> IssuedCertificate {
            IssuedCertificate(
                fingerprint: fingerprint,
                authority: "ca",
                issuedAt: .second(at),
                expires: .second(86400),
                endedAt: ended.map { .second($0) }
            )
        }
        let other = issued(fingerprint: "cd34")
        #expect(certificateFindings([other, issued()]) == [])
        #expect(certificateFindings([issued(ended: 500), other]) == [], "it was revoked later")
        #expect(certificateFindings([other]) == [.certificate(.foreign(fingerprint: "ab12"))])
        #expect(certificateFindings(nil) == [.certificate(.notInRoster(h2))])
        #expect(certificateFindings([]) == [.certificate(.forgotten(h2))])
        #expect(certificateFindings([issued(ended: -1000), other]) == [.certificate(.revoked(.second(-1000)))])
        #expect(certificateFindings([issued(ended: 3)]) == [.certificate(.revokedAbout(.second(3)))])
        #expect(certificateFindings([issued(1000)]) == [.certificate(.issuedLater(.second(1000)))])
        #expect(
            certificateFindings([issued()], expires: .second(90000))
                == [.certificate(.otherExpiry(evidence: .second(90000), roster: .second(86400)))]
        )
    }

    @Test func `an order that a record ended is unproven, wherever its VM is`() {
        for host in [h1, h2] {
            let end = StatedEnd(host: host, at: .second(900), reason: "h1 burned down")
            let check = EvidenceCheck(Self.order, reports: Array(Self.steps().dropLast()), ends: [end])
            #expect(check.findings == [.missing(.statedEnd(source: h1, end))])
            #expect(check.unproven && !check.failed && check.stage == (host == h2 ? .done : .failed))
            #expect(
                EvidenceCheck(Self.order, reports: Self.steps(), ends: [end]).findings == [],
                "its source came back"
            )
        }
    }

    @Test func `an order that never began is not checked as a move`() {
        let refused = OrderStep.failed(failure: OrderFailure(.refused, .other("no"), .at(h1)))
        #expect(findings([report("h1", 1, refused)]) == [])
        #expect(findings([]) == [])
    }

    @Test func `a finding is unproven only if a protected move must show it`() {
        #expect(Finding.path(.leak(onPath: nil, sent: nil)).severity == .failure)
        #expect(Finding.missing(.probes).severity == .unproven)
        #expect(Finding.certificate(.forgotten(h2)).severity == .unproven)
        #expect(Finding.certificate(.none).severity == .note)
    }
}
