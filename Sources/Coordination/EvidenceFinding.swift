// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension EvidenceCheck {
    /// What a check of one order's reports and evidence found, by subject.
    public enum Finding: Sendable, Equatable {
        case step(Step)
        case path(Path)
        case missing(Missing)
        case proof(Proof)
        case certificate(Certificate)
        case gates(Gates)
    }
}

extension EvidenceCheck.Finding {
    public enum Severity: String, Codable, Sendable {
        /// Something is wrong.
        case failure
        /// Something that a protected move must show was not seen, so nothing can be claimed for it.
        case unproven
        /// Something that is not known, or that an operator may want to know.
        case note
    }

    public var severity: Severity {
        switch self {
        case .missing, .certificate(.forgotten), .certificate(.revokedAbout): .unproven
        case .step(.doneAgain), .path(.inTheClear), .path(.unknown), .certificate(.none): .note
        case .gates(.portNotProbed), .gates(.dropsNotCounted), .gates(.dropped): .note
        case .step, .path, .proof, .certificate, .gates: .failure
        }
    }

    /// About the steps that source and target reported.
    public enum Step: Sendable, Equatable {
        case stranger(HostName, OrderState.Stage)
        case wrongReporter(HostName, OrderState.Stage, owner: HostName)
        case doneAgain
        case doneTwice
        case missing(OrderState.Stage)
        case outOfOrder
        case acceptedLate
        case beganLate
        case beganEarly
        /// The VM's definition is not the one that the order names, for this reason.
        case otherDefinition(FailureReason.Obstacle)
    }

    /// About the channel, the verdict and the figures that it rests on.
    public enum Path: Sendable, Equatable {
        case otherChannel(Channel, ordered: Channel)
        case inTheClear
        case wrongVerdict(Evidence.Verdict, Channel)
        case coveredWithoutFigures
        case notCovered(onPath: UInt64, sent: UInt64)
        case leak(onPath: UInt64?, sent: UInt64?)
        case unknown
        case otherFigures(evidence: UInt64, outcome: UInt64)
        case countersFell
        case counterAboveTotal(UInt64, total: UInt64)
        case impossiblePackets(TrafficCounters)
    }

    /// What a finished move on a protected channel must show and does not.
    public enum Missing: Sendable, Equatable {
        case evidence
        case verdict
        case figures
        case probes
        case probeResults
        /// Nobody saw the move end; its source's agent says this of it.
        case end(note: String)
    }

    /// About what protected the path.
    public enum Proof: Sendable, Equatable {
        case missing(Channel)
        case wrongIdentity(String, HostName)
        case notIKEv2(String)
        case weakIKE(String, MinimumSuite)
        case weakESP(String, MinimumSuite)
        case notTunnelMode(SecurityAssociation.Mode)
        case noSPI
        case weakSession(SessionFacts, MinimumSuite)
        case noHostKey
        case noSealingKey
        case imageNotTakenOver
        case otherImageOpened
        case otherImage
    }

    /// About the certificate with which the target authenticated.
    public enum Certificate: Sendable, Equatable {
        /// It used a key.
        case none
        case ofAnother(String, HostName)
        case expired
        case notInRoster(HostName)
        case forgotten(HostName)
        case foreign(fingerprint: String)
        case otherExpiry(evidence: Instant, roster: Instant)
        case issuedLater(Instant)
        case revoked(Instant)
        case revokedAbout(Instant)
    }

    /// About the gates of both hosts.
    public enum Gates: Sendable, Equatable {
        case portOpen(GateProbe)
        case portNotProbed(GateProbe)
        case dropsNotCounted
        case dropped(packets: UInt64)
    }
}
