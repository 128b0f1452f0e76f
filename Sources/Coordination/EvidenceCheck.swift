// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Checks again what the ledger tells of one order: that its steps are in order and of the right hosts, and that the
/// evidence of its path bears out the verdict.
///
/// Who signed the reports is not looked at here: readers refuse a report that its host has not signed.
public struct EvidenceCheck: Sendable, Equatable {
    public struct Finding: Codable, Sendable, Equatable {
        public enum Severity: String, Codable, Sendable {
            /// Something is not as it must be.
            case failure
            /// Something that a protected move must show, and that nobody saw: no claim can be made for it.
            case unproven
            /// Something that is not known, or that a person may want to know.
            case note
        }
        public var severity: Severity
        public var text: String
        public init(_ severity: Severity, _ text: String) {
            self.severity = severity
            self.text = text
        }
    }

    public let order: MigrationOrder
    /// What is negotiated below it is a failure.
    public let minimum: MinimumSuite
    let certificates: [HostName: [IssuedCertificate]]?
    public private(set) var stage: OrderLife.Stage
    public private(set) var evidence: Evidence?
    public private(set) var findings: [Finding] = []

    public var failed: Bool { findings.contains { $0.severity == .failure } }
    /// Whether a move was made on a protected channel without all that shows that it was protected.
    public var unproven: Bool { findings.contains { $0.severity == .unproven } }

    /// By how much the clocks of two hosts may differ.
    static let clockTolerance: Duration = .seconds(60)

    /// `reports`: those of the order, in the ledger's order.
    ///
    /// `certificates`: those that the cluster gave each of its hosts, an empty list where that is not remembered; `nil`:
    /// there is no roster to ask.
    public init(
        _ order: MigrationOrder,
        reports: [OrderReport],
        minimum: MinimumSuite = .aes256,
        certificates: [HostName: [IssuedCertificate]]? = nil
    ) {
        self.order = order
        self.minimum = minimum
        self.certificates = certificates
        var life = OrderLife(order)
        for report in reports { life.apply(report) }
        stage = life.stage
        evidence = life.evidence
        check(reports: reports.filter { $0.order == order.id }, life)
        if let evidence { check(evidence, life) }
        checkProof(life)
    }

    mutating func fail(_ text: String) { findings.append(Finding(.failure, text)) }
    mutating func note(_ text: String) { findings.append(Finding(.note, text)) }
    mutating func unproven(_ text: String) { findings.append(Finding(.unproven, text)) }

    // MARK: steps

    private mutating func check(reports: [OrderReport], _ life: OrderLife) {
        var firsts: [OrderLife.Stage: (place: Int, report: OrderReport)] = [:]
        for (place, report) in reports.enumerated() {
            let stage = OrderLife.Stage(report.step)
            if ![order.source, order.target].contains(report.host) {
                fail("\(report.host) reports '\(stage)', and is neither its source nor its target")
            } else if let owner = owner(of: report.step), report.host != owner {
                fail("\(report.host) reports '\(stage)', which is for \(owner) to say")
            } else if firsts[stage] == nil {
                firsts[stage] = (place, report)
            } else if stage == .done, report == firsts[stage]?.report {
                // Its host could not know that the first one was written.
                note("it is reported as done twice in the same words")
            } else if stage == .done {
                fail("it is reported as done twice: an order is used once")
            }
        }
        guard life.stage == .done || life.startedAt != nil else { return }
        let expected: [OrderLife.Stage] = [.accepted, .prepared, .running]
        for stage in expected where firsts[stage] == nil {
            fail(
                "nobody reported '\(stage)' before the move"
                    + (stage == .prepared ? ": its target never consented" : "")
            )
        }
        let steps = (expected + [.done]).compactMap { firsts[$0]?.place }
        if steps != steps.sorted() { fail("its steps are reported in the wrong order") }
        if let accepted = firsts[.accepted]?.report, accepted.at > order.expires + Self.clockTolerance {
            fail("it was accepted after it had expired")
        }
        if let running = firsts[.running]?.report {
            if running.at > order.latestBeginning + Self.clockTolerance { fail("it began after its latest beginning") }
            if running.at + Self.clockTolerance < order.notBefore ?? order.issuedAt { fail("it began before its time") }
        }
        if let reason = life.requirements.flatMap({ order.reasonNotFor(definition: $0.definition) }) {
            fail(reason.text)
        }
    }

    private func owner(of step: OrderStep) -> HostName? {
        switch step {
        case .accepted, .running, .sealed, .released, .withdrawn, .done: order.source
        case .prepared, .opened, .restored, .declined: order.target
        case .failed: nil
        }
    }

    // MARK: evidence

    private mutating func check(_ evidence: Evidence, _ life: OrderLife) {
        if evidence.channel != order.channel {
            fail("it went over \(evidence.channel.rawValue); the order says \(order.channel.rawValue)")
        }
        checkVerdict(evidence, life)
        checkBytes(evidence, life)
        guard order.channel != .plain else { return }
        // What was found out after a restart has nothing but its outcome: it claims nothing.
        if evidence == Evidence(channel: order.channel, verdict: .unknown) { return }
        // Its image goes through the storage: no port, no certificate and no gate has a part in it.
        if order.channel == .sealed { return checkSealed(evidence, life) }
        if [.ipsec, .ipsecTLS].contains(order.channel) { checkAssociation(evidence) }
        if [.tls, .ipsecTLS].contains(order.channel) { checkTLS(evidence) }
        if order.channel == .ssh { checkSSH(evidence) } else { checkCertificate(evidence, life) }
        checkGates(evidence)
    }

    private mutating func checkVerdict(_ evidence: Evidence, _ life: OrderLife) {
        let (through, sent) = (evidence.bytesThroughTunnel, evidence.bytesByHypervisor)
        let verdict = evidence.verdict
        if order.channel == .plain {
            if verdict != .unprotected { fail("it went in the clear, and its verdict is '\(verdict.rawValue)'") }
            note("it went in the clear, as was asked for by name")
            return
        }
        switch verdict {
        case .covered:
            guard let through, let sent else {
                return fail("its verdict is 'covered' without the figures that show it")
            }
            if through < sent { fail("its verdict is 'covered', but \(through) of \(sent) bytes passed the path") }
        case .leak:
            fail("LEAK: \(through.map { "\($0)" } ?? "?") of \(sent.map { "\($0)" } ?? "?") bytes passed the path")
        case .unprotected: fail("its verdict is 'unprotected' on the channel \(order.channel.rawValue)")
        case .unknown: if life.stage != .done { note("its verdict is 'unknown': it did not end in a move") }
        }
    }

    /// What a finished move on a protected channel must show: the bytes on the path, and ports that were shut.
    private mutating func checkProof(_ life: OrderLife) {
        guard life.stage == .done, order.channel != .plain else { return }
        guard let evidence else { return unproven("it is done, and there is no evidence of its path") }
        // 'covered' without figures is a failure already.
        if evidence.verdict == .unknown {
            unproven("its verdict is 'unknown': nobody saw what passed the path")
        } else if evidence.verdict != .covered, evidence.bytesThroughTunnel == nil || evidence.bytesByHypervisor == nil
        {
            unproven("the figures of what was sent and of what passed the path are not complete")
        }
        let probes = evidence.probes ?? []
        if order.channel == .sealed {
            // It goes to no port.
        } else if probes.isEmpty {
            unproven("no probe tried the target's ports before the move")
        } else if probes.allSatisfy({ $0.outcome == .unknown }) {
            unproven("none of the target's ports could be probed before the move")
        }
        // It was found out after a restart, so nobody watched it to its end.
        if let note = life.outcome?.note { unproven("its source's agent says: \(note)") }
    }

    private mutating func checkBytes(_ evidence: Evidence, _ life: OrderLife) {
        if let sent = evidence.bytesByHypervisor, let told = life.outcome?.bytesTransferred, sent != told {
            fail("its evidence says the hypervisor sent \(sent) bytes, its outcome \(told)")
        }
        guard let before = evidence.before, let after = evidence.after else { return }
        guard after.bytes >= before.bytes, after.packets >= before.packets else {
            return fail("the counters of its SA went backwards")
        }
        let (bytes, packets) = (after.bytes - before.bytes, after.packets - before.packets)
        if let through = evidence.bytesThroughTunnel, bytes > through {
            fail("one SA counted \(bytes) bytes, all of them together \(through)")
        }
        // No packet carries more than 64 KiB.
        if bytes / 65536 > packets { fail("its SA counted \(bytes) bytes in \(packets) packets") }
    }

    private mutating func checkAssociation(_ evidence: Evidence) {
        guard let association = evidence.association else {
            return fail("no SA is named that carried it")
        }
        for (identity, host, whose) in [
            (association.localIdentity, order.source, "source"), (association.peerIdentity, order.target, "target"),
        ] where !Self.names(identity, host) {
            fail("the SA's identity of its \(whose) is '\(identity)', not \(host)")
        }
        if !association.ikeSuite.hasPrefix("IKEv2 ") { fail("IKE was '\(association.ikeSuite)', not IKEv2") }
        for (what, suite) in [("IKE", association.ikeSuite), ("ESP", association.suite)]
        where !minimum.acceptsIPsec(suite) {
            fail("its \(what) suite is '\(suite)', below \(minimum.rawValue) with X25519")
        }
        if !["TUNNEL", "TRANSPORT"].contains(association.mode) { fail("its SA's mode is '\(association.mode)'") }
        if association.mode == "TRANSPORT", association.implementation != "kernel" {
            fail("its SA's mode is 'TRANSPORT' in \(association.implementation), which knows tunnel mode alone")
        }
        if association.outboundSPI.isEmpty || association.inboundSPI.isEmpty { fail("its SA has no SPI") }
    }

    private mutating func checkTLS(_ evidence: Evidence) {
        guard let session = evidence.session else { return fail("no TLS session is named") }
        if !minimum.acceptsTLS(session) {
            fail("its TLS session is \(session.version) with \(session.suite), below \(minimum.rawValue)")
        }
    }

    private mutating func checkSSH(_ evidence: Evidence) {
        if evidence.hostKey?.isEmpty ?? true { fail("the target's ssh host key is not named") }
        guard let session = evidence.session else { return fail("no ssh session is named") }
        if !minimum.acceptsSSH(session) {
            fail("its ssh session is \(session.version) with \(session.suite), below \(minimum.rawValue)")
        }
    }

    private mutating func checkSealed(_ evidence: Evidence, _ life: OrderLife) {
        if evidence.session != SealedImage.session {
            fail("its image was not encrypted with \(SealedImage.session.suite)")
        }
        guard life.stage == .done else { return }
        if life.sealingKey == nil { fail("its target named no key for which the image was to be encrypted") }
        guard case .arrived = life.handover.phase, let image = life.handover.image else {
            return fail("its target never said that it took over the image and runs the VM")
        }
        if life.handover.openedDigest != image.digest {
            fail("its target did not open the image that its source signed for")
        }
        if evidence.bytesThroughTunnel != image.bytes || evidence.bytesByHypervisor != image.imageBytes {
            fail("its evidence has other sizes than the image that its source signed for")
        }
    }

    private mutating func checkGates(_ evidence: Evidence) {
        let probes = evidence.probes ?? []
        for probe in probes {
            switch probe.outcome {
            case .shut: break
            case .open: fail("port \(probe.port) of \(probe.address) was open to everybody before the move")
            case .unknown: note("port \(probe.port) of \(probe.address) could not be probed")
            }
        }
        switch evidence.droppedAtGates {
        case nil: note("what the gates dropped was not counted")
        case 0?: break
        case let dropped?: note("\(dropped) packets were dropped at the gates during the move")
        }
    }

    // MARK: names

    /// Whether an IKE identity or a certificate's subject is of a host: its name, or a distinguished name with it as CN.
    static func names(_ identity: String, _ host: HostName) -> Bool {
        if identity == host.rawValue { return true }
        var common: [Substring] = []
        for part in identity.split(whereSeparator: { $0 == "," || $0 == "/" }) {
            let pair = part.split(separator: "=", maxSplits: 1).map { $0.drop { $0 == " " } }
            if pair.count == 2, pair[0].prefix(while: { $0 != " " }) == "CN" { common.append(pair[1]) }
        }
        return common.count == 1 && String(common[0]) == host.rawValue
    }
}

extension OrderLife.Stage {
    /// The stage that a step leads to.
    init(_ step: OrderStep) {
        self =
            switch step {
            case .accepted: .accepted
            case .prepared: .prepared
            case .running, .sealed, .opened, .released, .withdrawn, .restored, .declined: .running
            case .done: .done
            case .failed: .failed
            }
    }
}
