// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// Checks the ledger's records of one order: the sequence and the writers of its steps, and whether its evidence
/// supports the verdict.
///
/// Signatures are not checked here: readers of the ledger refuse a report that its host has not signed.
public struct EvidenceCheck: Sendable, Equatable {
    public let order: MigrationOrder
    /// The weakest suites that are accepted; anything below is a failure.
    public let minimum: MinimumSuite
    let certificates: [HostName: [IssuedCertificate]]?
    public private(set) var stage: OrderState.Stage
    public private(set) var evidence: Evidence?
    public private(set) var findings: [Finding] = []

    public var failed: Bool { findings.contains { $0.severity == .failure } }
    /// Whether a move over a protected channel has incomplete evidence of its protection.
    public var unproven: Bool { findings.contains { $0.severity == .unproven } }

    /// Maximum difference between the clocks of two hosts.
    static let clockTolerance: Duration = .seconds(60)

    /// `reports`: the order's reports, in the ledger's order; `ends`: the records that ended it.
    ///
    /// `certificates`: those that the cluster issued to each of its hosts, an empty list if that is no longer known;
    /// `nil` without a roster.
    public init(
        _ order: MigrationOrder,
        reports: [OrderReport],
        ends: [StatedEnd] = [],
        minimum: MinimumSuite = .aes256,
        certificates: [HostName: [IssuedCertificate]]? = nil
    ) {
        self.order = order
        self.minimum = minimum
        self.certificates = certificates
        var state = OrderState(order)
        for report in reports { state.apply(report) }
        for end in ends { state.end(end) }
        stage = state.stage
        evidence = state.evidence
        check(reports: reports.filter { $0.order == order.id }, state)
        if let evidence { check(evidence, state) }
        checkCompleteness(state)
    }

    mutating func add(_ finding: Finding) { findings.append(finding) }

    // MARK: steps

    private mutating func check(reports: [OrderReport], _ state: OrderState) {
        var unknown: String?
        defer { if let unknown { add(.missing(.step(unknown))) } }
        var firsts: [OrderState.Stage: (place: Int, report: OrderReport)] = [:]
        for (place, report) in reports.enumerated() where !report.step.isOfSearch {
            if case .notUnderstood(let step) = report.step {
                // Its place among the steps, and who may report it, are not known.
                if [order.source, order.target].contains(report.host) { unknown = unknown ?? step }
                continue
            }
            let stage = OrderState.Stage(report.step)
            if ![order.source, order.target].contains(report.host) {
                add(.step(.stranger(report.host, stage)))
            } else if let owner = owner(of: report.step), report.host != owner {
                add(.step(.wrongReporter(report.host, stage, owner: owner)))
            } else if firsts[stage] == nil {
                firsts[stage] = (place, report)
            } else if stage == .done {
                // The host may repeat a report, because it could not know that the first one was written.
                add(.step(report == firsts[stage]?.report ? .doneAgain : .doneTwice))
            }
        }
        guard state.stage == .done || state.startedAt != nil else { return }
        let expected: [OrderState.Stage] = [.accepted, .prepared, .running]
        for stage in expected where firsts[stage] == nil { add(.step(.missing(stage))) }
        let steps = (expected + [.done]).compactMap { firsts[$0]?.place }
        if steps != steps.sorted() { add(.step(.outOfOrder)) }
        if let accepted = firsts[.accepted]?.report, accepted.at > order.expires + Self.clockTolerance {
            add(.step(.acceptedLate))
        }
        if let running = firsts[.running]?.report {
            if running.at > order.latestBeginning + Self.clockTolerance { add(.step(.beganLate)) }
            if running.at + Self.clockTolerance < order.notBefore ?? order.issuedAt { add(.step(.beganEarly)) }
        }
        if let reason = state.requirements.flatMap({ order.reasonNotFor(definition: $0.definition) }) {
            add(.step(.otherDefinition(reason)))
        }
    }

    private func owner(of step: OrderStep) -> HostName? {
        switch step.reporter {
        case .source: order.source
        case .target: order.target
        case .either, .anyone: nil
        }
    }

    // MARK: evidence

    private mutating func check(_ evidence: Evidence, _ state: OrderState) {
        if evidence.channel != order.channel { add(.path(.otherChannel(evidence.channel, ordered: order.channel))) }
        checkVerdict(evidence, state)
        checkBytes(evidence, state)
        guard order.channel != .plain else { return }
        // An outcome found after a restart has no evidence and claims nothing.
        if evidence == Evidence(channel: order.channel, verdict: .unknown) { return }
        switch (order.channel, evidence.proof) {
        case (.ipsec, .tunnel(let association, _, let certificate)):
            check(association)
            if let certificate { check(certificate, state) } else { add(.certificate(.none)) }
        case (.ipsecTLS, .tunnelledSession(let association, _, let session, let certificate)):
            check(association)
            if !minimum.acceptsTLS(session) { add(.proof(.weakSession(session, minimum))) }
            check(certificate, state)
        case (.tls, .session(let session, let certificate, _)):
            if !minimum.acceptsTLS(session) { add(.proof(.weakSession(session, minimum))) }
            check(certificate, state)
        case (.ssh, .hostKey(let hostKey, let session, _)):
            if hostKey.isEmpty { add(.proof(.noHostKey)) }
            if !minimum.acceptsSSH(session) { add(.proof(.weakSession(session, minimum))) }
        // A sealed image goes through the storage, not through a gate.
        case (.sealed, .sealed(let image)): return check(image, evidence, state)
        default: add(.proof(.missing(order.channel)))
        }
        if order.channel != .sealed { checkGates(evidence) }
    }

    private mutating func checkVerdict(_ evidence: Evidence, _ state: OrderState) {
        let (onPath, sent, verdict) = (evidence.bytesOnPath, evidence.bytesByHypervisor, evidence.verdict)
        if order.channel == .plain {
            if verdict != .unprotected { add(.path(.wrongVerdict(verdict, .plain))) }
            return add(.path(.inTheClear))
        }
        switch verdict {
        case .covered:
            guard let onPath, let sent else { return add(.path(.coveredWithoutFigures)) }
            if onPath < sent { add(.path(.notCovered(onPath: onPath, sent: sent))) }
        case .leak: add(.path(.leak(onPath: onPath, sent: sent)))
        case .unprotected: add(.path(.wrongVerdict(verdict, order.channel)))
        case .unknown: if state.stage != .done { add(.path(.unknown)) }
        }
    }

    /// Checks that a finished move over a protected channel has byte counts, probe results and an observed end.
    private mutating func checkCompleteness(_ state: OrderState) {
        if let end = state.statedEnd { return add(.missing(.statedEnd(source: order.source, end))) }
        guard state.stage == .done, order.channel != .plain else { return }
        guard let evidence else { return add(.missing(.evidence)) }
        // `covered` without figures is already a failure.
        if evidence.verdict == .unknown {
            add(.missing(.verdict))
        } else if evidence.verdict != .covered, evidence.bytesOnPath == nil || evidence.bytesByHypervisor == nil {
            add(.missing(.figures))
        }
        // A sealed image uses no port.
        if order.channel != .sealed {
            if evidence.probes.isEmpty {
                add(.missing(.probes))
            } else if evidence.probes.allSatisfy({ $0.outcome == .unknown }) {
                add(.missing(.probeResults))
            }
        }
        // A note usually means that no agent observed the end of the move, for example because of a restart.
        if let note = state.outcome?.note { add(.missing(.end(note: note))) }
    }

    private mutating func checkBytes(_ evidence: Evidence, _ state: OrderState) {
        if let sent = evidence.bytesByHypervisor, let outcome = state.outcome?.bytesTransferred, sent != outcome {
            add(.path(.otherFigures(evidence: sent, outcome: outcome)))
        }
        guard let counters = evidence.proof.counters else { return }
        let (before, after) = (counters.before, counters.after)
        guard after.bytes >= before.bytes, after.packets >= before.packets else { return add(.path(.countersFell)) }
        let passed = TrafficCounters(bytes: after.bytes - before.bytes, packets: after.packets - before.packets)
        if let total = evidence.bytesOnPath, passed.bytes > total {
            add(.path(.counterAboveTotal(passed.bytes, total: total)))
        }
        // No packet carries more than 64 KiB.
        if passed.bytes / 65536 > passed.packets { add(.path(.impossiblePackets(passed))) }
    }

    private mutating func check(_ association: SecurityAssociation) {
        for (identity, host) in [(association.localIdentity, order.source), (association.peerIdentity, order.target)]
        where !Self.names(identity, host) {
            add(.proof(.wrongIdentity(identity, host)))
        }
        if !association.ikeSuite.hasPrefix("IKEv2 ") { add(.proof(.notIKEv2(association.ikeSuite))) }
        if !minimum.acceptsIPsec(association.ikeSuite) { add(.proof(.weakIKE(association.ikeSuite, minimum))) }
        if !minimum.acceptsIPsec(association.suite) { add(.proof(.weakESP(association.suite, minimum))) }
        if association.mode != .tunnel { add(.proof(.notTunnelMode(association.mode))) }
        if association.outboundSPI.isEmpty || association.inboundSPI.isEmpty { add(.proof(.noSPI)) }
    }

    private mutating func check(_ image: SealedImage, _ evidence: Evidence, _ state: OrderState) {
        guard state.stage == .done else { return }
        if state.sealingKey == nil { add(.proof(.noSealingKey)) }
        guard case .arrived = state.handover.phase, let signed = state.handover.image else {
            return add(.proof(.imageNotTakenOver))
        }
        if state.handover.openedDigest != signed.digest { add(.proof(.otherImageOpened)) }
        if image != signed || evidence.bytesOnPath != signed.bytes || evidence.bytesByHypervisor != signed.imageBytes {
            add(.proof(.otherImage))
        }
    }

    private mutating func checkGates(_ evidence: Evidence) {
        for probe in evidence.probes {
            switch probe.outcome {
            case .shut: break
            case .open: add(.gates(.portOpen(probe)))
            case .unknown: add(.gates(.portNotProbed(probe)))
            }
        }
        switch evidence.droppedAtGates {
        case nil: add(.gates(.dropsNotCounted))
        case 0?: break
        case let packets?: add(.gates(.dropped(packets: packets)))
        }
    }

    // MARK: names

    /// Returns whether an IKE identity or certificate subject is the host's name, or a distinguished name with it as
    /// CN.
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

extension OrderState.Stage {
    /// Creates the stage that a step leads to.
    init(_ step: OrderStep) {
        self =
            switch step {
            case .accepted: .accepted
            case .prepared: .prepared
            case .running, .sealed, .opened, .released, .withdrawn, .restored, .declined, .asked, .answered,
                .notUnderstood:
                .running
            case .done: .done
            case .failed: .failed
            }
    }
}
