// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Testing

/// What a second look at reports finds: nothing in sound ones, and each thing that was tampered with.
struct EvidenceCheckTests {
    private static let evidence = Evidence(
        channel: .ipsecTLS,
        association: SecurityAssociation(
            localIdentity: "h1",
            peerIdentity: "CN=h2",
            inboundSPI: "c0ffee01",
            outboundSPI: "c0ffee02",
            suite: "AES_GCM_16-256/CURVE_25519",
            ikeSuite: "IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/CURVE_25519",
            mode: "TUNNEL",
            implementation: "kernel",
            encapsulated: false
        ),
        before: TrafficCounters(bytes: 1000, packets: 10),
        after: TrafficCounters(bytes: 101_000, packets: 110),
        bytesThroughTunnel: 100_000,
        bytesByHypervisor: 90_000,
        droppedAtGates: 0,
        peerCertificate: CertificateFacts(
            subject: "O=evenkeel, CN=h2",
            issuer: "CN=evenkeel CA",
            fingerprint: "ab12",
            expires: .second(86400)
        ),
        session: SessionFacts(version: "TLSv1.3", suite: "TLS_AES_256_GCM_SHA384"),
        probes: [GateProbe(address: "10.0.0.2", port: 49152, at: .second(3), outcome: .shut)],
        verdict: .covered
    )

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

    private func failures(_ reports: [OrderReport], of order: MigrationOrder = Self.order) -> [String] {
        EvidenceCheck(order, reports: reports).findings.filter { $0.severity == .failure }.map(\.text)
    }

    @Test func aSoundMoveHasNoFindings() {
        let check = EvidenceCheck(Self.order, reports: Self.steps())
        #expect(check.findings == [] && !check.failed && check.stage == .done)
    }

    @Test func transportModeIsAsGoodAsTunnelMode() {
        var evidence = Self.evidence
        evidence.association?.mode = "TRANSPORT"
        #expect(EvidenceCheck(Self.order, reports: Self.steps(evidence)).findings == [])
    }

    struct Tampering: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var change: @Sendable (inout Evidence) -> Void
    }

    static let tamperings: [Tampering] = [
        Tampering(testDescription: "LEAK: 80000 of 90000 bytes") {
            ($0.bytesThroughTunnel, $0.verdict) = (80000, .leak); $0.after?.bytes = 81000
        },
        Tampering(testDescription: "'covered', but 89999 of 90000 bytes") {
            $0.bytesThroughTunnel = 89999; $0.after?.bytes = 90999
        },
        Tampering(testDescription: "'covered' without the figures") { $0.bytesThroughTunnel = nil },
        Tampering(testDescription: "verdict is 'unprotected'") { $0.verdict = .unprotected },
        Tampering(testDescription: "the hypervisor sent 50000 bytes, its outcome 90000") {
            $0.bytesByHypervisor = 50000
        },
        Tampering(testDescription: "went over tls") { $0.channel = .tls },
        Tampering(testDescription: "counters of its SA went backwards") { $0.after?.bytes = 0 },
        Tampering(testDescription: "one SA counted 200000 bytes") { $0.after?.bytes = 201_000 },
        Tampering(testDescription: "100000 bytes in 0 packets") { $0.after?.packets = 10 },
        Tampering(testDescription: "no SA is named") { $0.association = nil },
        Tampering(testDescription: "identity of its source is 'h3'") { $0.association?.localIdentity = "h3" },
        Tampering(testDescription: "identity of its target is 'CN=h22'") { $0.association?.peerIdentity = "CN=h22" },
        Tampering(testDescription: "identity of its target is 'CN=h2, CN=h3'") {
            $0.association?.peerIdentity = "CN=h2, CN=h3"
        },
        Tampering(testDescription: "IKE was 'IKEv1") { $0.association?.ikeSuite = "IKEv1 AES_GCM_16-256/CURVE_25519" },
        Tampering(testDescription: "ESP suite is 'AES_CBC-256") {
            $0.association?.suite = "AES_CBC-256/HMAC_SHA2_256_128/CURVE_25519"
        },
        Tampering(testDescription: "ESP suite is 'AES_GCM_16-128") {
            $0.association?.suite = "AES_GCM_16-128/CURVE_25519"
        },
        Tampering(testDescription: "IKE suite is 'IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/MODP_2048'") {
            $0.association?.ikeSuite = "IKEv2 AES_GCM_16-256/PRF_HMAC_SHA2_256/MODP_2048"
        },
        Tampering(testDescription: "mode is 'PASS'") { $0.association?.mode = "PASS" },
        Tampering(testDescription: "mode is 'TRANSPORT' in user space") {
            $0.association?.mode = "TRANSPORT"
            $0.association?.implementation = "user space"
        },
        Tampering(testDescription: "no TLS session") { $0.session = nil },
        Tampering(testDescription: "TLSv1.1") { $0.session?.version = "TLSv1.1" },
        Tampering(testDescription: "TLS_AES_128_GCM_SHA256") { $0.session?.suite = "TLS_AES_128_GCM_SHA256" },
        Tampering(testDescription: "certificate is of 'CN=h3'") { $0.peerCertificate?.subject = "CN=h3" },
        Tampering(testDescription: "certificate had expired") { $0.peerCertificate?.expires = .second(2) },
        Tampering(testDescription: "showed no certificate") { $0.peerCertificate = nil },
        Tampering(testDescription: "port 49152 of 10.0.0.2 was open") { $0.probes?[0].outcome = .open },
    ]

    @Test(arguments: tamperings) func whatWasTamperedWithIsFound(_ tampering: Tampering) {
        var evidence = Self.evidence
        tampering.change(&evidence)
        let failures = failures(Self.steps(evidence))
        #expect(failures.count == 1 && failures[0].contains(tampering.testDescription), "\(failures)")
    }

    @Test func stepsOfTheWrongHostInTheWrongOrderOrOutOfTimeAreFound() {
        var steps = Self.steps()
        steps[1].host = HostName("h1")
        #expect(failures(steps).contains { $0.contains("h1 reports 'prepared', which is for h2 to say") })
        steps = Self.steps()
        steps[4].host = HostName("h3")
        #expect(failures(steps).contains { $0.contains("h3 reports 'done', and is neither") })
        steps = Self.steps()
        steps.remove(at: 1)
        #expect(failures(steps).contains { $0.contains("its target never consented") })
        steps = Self.steps()
        steps.swapAt(1, 2)
        #expect(failures(steps) == ["its steps are reported in the wrong order"])
        steps = Self.steps()
        steps.append(steps[4])
        #expect(failures(steps) == [], "an append that was not confirmed is made again")
        steps[5].at = .second(10)
        #expect(failures(steps) == ["it is reported as done twice: an order is used once"])
        steps = Self.steps()
        steps[2].at = .second(1000)
        #expect(failures(steps) == ["it began after its latest beginning"])
        steps = Self.steps()
        steps[0].at = .second(1000)
        #expect(failures(steps) == ["it was accepted after it had expired"])
        var future = Self.order
        future.notBefore = .second(100)
        #expect(failures(Self.steps(), of: future) == ["it began before its time"])
        var other = Self.order
        other.definition = "d2"
        #expect(failures(Self.steps(), of: other).first?.contains("definition changed") == true)
    }

    private func unproven(_ reports: [OrderReport]) -> [String] {
        EvidenceCheck(Self.order, reports: reports).findings.filter { $0.severity == .unproven }.map(\.text)
    }

    @Test func aMoveWithoutFiguresOrProbesIsUnproven() {
        var evidence = Self.evidence
        (evidence.verdict, evidence.bytesThroughTunnel) = (.unknown, nil)
        #expect(unproven(Self.steps(evidence)) == ["its verdict is 'unknown': nobody saw what passed the path"])
        evidence = Self.evidence
        evidence.probes = []
        #expect(unproven(Self.steps(evidence)) == ["no probe tried the target's ports before the move"])
        evidence.probes = [GateProbe(address: "10.0.0.2", port: 49152, at: .second(3), outcome: .unknown)]
        #expect(unproven(Self.steps(evidence)) == ["none of the target's ports could be probed before the move"])
        var steps = Self.steps()
        steps[4].step = .done(
            outcome: MigrationOutcome(
                startedAt: .second(4),
                endedAt: .second(9),
                bytesTransferred: 90_000,
                note: "found out after a restart"
            ),
            evidence: Self.evidence
        )
        #expect(unproven(steps) == ["its source's agent says: found out after a restart"])
        steps[4].step = .done(
            outcome: MigrationOutcome(startedAt: .second(4), endedAt: .second(9), note: "found out after a restart"),
            evidence: Evidence(channel: .ipsecTLS, verdict: .unknown)
        )
        #expect(unproven(steps).count == 3 && failures(steps) == [])
        #expect(!EvidenceCheck(Self.order, reports: Self.steps()).unproven)
        // One that is not done proves nothing and claims nothing.
        #expect(unproven(Array(Self.steps().dropLast())) == [])
    }

    @Test func whatIsNotKnownIsNotedAndClaimsNothing() {
        var evidence = Self.evidence
        (evidence.verdict, evidence.bytesThroughTunnel, evidence.droppedAtGates) = (.unknown, nil, nil)
        evidence.probes = nil
        let check = EvidenceCheck(Self.order, reports: Self.steps(evidence))
        #expect(!check.failed && check.unproven && check.findings.count == 3, "\(check.findings)")
        evidence.droppedAtGates = 7
        let told = EvidenceCheck(Self.order, reports: Self.steps(evidence)).findings.map(\.text)
        #expect(told.contains("7 packets were dropped at the gates during the move"))
    }

    @Test func aMoveInTheClearIsNoFailureWhereItWasAskedForByName() {
        var plain = Self.order
        plain.channel = .plain
        let evidence = Evidence(channel: .plain, bytesByHypervisor: 90_000, verdict: .unprotected)
        let check = EvidenceCheck(plain, reports: Self.steps(evidence))
        #expect(!check.failed && check.findings.map(\.text) == ["it went in the clear, as was asked for by name"])
        #expect(failures(Self.steps(evidence)).contains("it went over plain; the order says ipsec+tls"))
    }

    @Test func theMinimumSuiteIsThePolicys() {
        var evidence = Self.evidence
        evidence.association?.suite = "AES_GCM_16-128/CURVE_25519"
        evidence.session?.suite = "TLS_AES_128_GCM_SHA256"
        #expect(failures(Self.steps(evidence)).count == 2)
        #expect(EvidenceCheck(Self.order, reports: Self.steps(evidence), minimum: .aes128).findings == [])
    }

    @Test func sshIsHeldToItsHostKeyAndItsCipher() {
        var ssh = Self.order
        ssh.channel = .ssh
        var evidence = Self.evidence
        evidence.channel = .ssh
        (evidence.association, evidence.peerCertificate, evidence.before, evidence.after) = (nil, nil, nil, nil)
        evidence.hostKey = "ssh-ed25519 SHA256:abc"
        evidence.session = SessionFacts(version: "SSH-2.0", suite: "aes256-gcm@openssh.com")
        #expect(failures(Self.steps(evidence), of: ssh) == [])
        evidence.session?.suite = "aes128-ctr"
        evidence.hostKey = nil
        #expect(failures(Self.steps(evidence), of: ssh).count == 2)
    }

    private func certificateFindings(
        _ issued: [IssuedCertificate]?,
        _ change: (inout Evidence) -> Void = { _ in }
    ) -> [String] {
        var evidence = Self.evidence
        change(&evidence)
        let certificates = issued.map { [h2: $0] } ?? [:]
        return EvidenceCheck(Self.order, reports: Self.steps(evidence), certificates: certificates).findings
            .map { "\($0.severity.rawValue): \($0.text)" }
    }

    @Test func theTargetsCertificateIsHeldAgainstTheRostersOfThatTime() {
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
        #expect(
            certificateFindings([other]).first?.hasPrefix("failure: the certificate that the target showed is none")
                == true
        )
        #expect(certificateFindings(nil) == ["failure: the roster has no host h2"])
        #expect(certificateFindings([]).first?.hasPrefix("unproven: the roster does not remember") == true)
        let revoked = certificateFindings([issued(ended: -1000), other])
        #expect(
            revoked == ["failure: the target's certificate was revoked before the move began, on 1969-12-31 23:43:20Z"]
        )
        #expect(
            certificateFindings([issued(ended: 3)]).first?.hasPrefix("unproven: the target's certificate was") == true
        )
        #expect(certificateFindings([issued(1000)]).first?.contains("was issued after the move began") == true)
        #expect(
            certificateFindings([issued()]) { $0.peerCertificate?.expires = .second(90000) }.first?
                .contains("certificate expires on 1970-01-02 01:00:00Z, the roster on 1970-01-02 00:00:00Z") == true
        )
    }

    @Test func anOrderThatNeverBeganIsNotHeldAgainstAMove() {
        let refused = OrderStep.failed(failure: OrderFailure(.refused, .other("no"), .at(h1)))
        #expect(failures([report("h1", 1, refused)]) == [])
        #expect(failures([]) == [])
    }
}
