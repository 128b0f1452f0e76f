// SPDX-License-Identifier: Apache-2.0
public import Fleet

extension EvidenceCheck {
    /// A finding of a check of one order's reports and evidence, by subject.
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
        /// A violation.
        case failure
        /// Required evidence of a protected move is missing: nothing can be claimed about it.
        case unproven
        /// An unknown fact, or information for the operator.
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

    /// A finding about the steps that source and target reported.
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

    /// A finding about the channel, the verdict and its figures.
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

    /// Missing evidence of a finished move over a protected channel.
    public enum Missing: Sendable, Equatable {
        case evidence
        case verdict
        case figures
        case probes
        case probeResults
        /// Another version reported this step, which this one does not understand.
        case step(String)
        /// No agent observed the end of the move; `note` is the explanation of the source's agent.
        case end(note: String)
        /// A record ended the order, because its source did not.
        case statedEnd(source: HostName, StatedEnd)
    }

    /// A finding about the proof that the path was protected.
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

    /// A finding about the certificate with which the target authenticated.
    public enum Certificate: Sendable, Equatable {
        /// The target authenticated with a key.
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

    /// A finding about the gates of both hosts.
    public enum Gates: Sendable, Equatable {
        case portOpen(GateProbe)
        case portNotProbed(GateProbe)
        case dropsNotCounted
        case dropped(packets: UInt64)
    }
}
