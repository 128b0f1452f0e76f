// SPDX-License-Identifier: Apache-2.0
import Fleet

extension EvidenceCheck.Finding: Encodable {
    private enum CodingKeys: String, CodingKey { case severity, code, text }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(severity, forKey: .severity)
        try container.encode(code, forKey: .code)
        try container.encode(text, forKey: .text)
    }

    /// Identifies the kind of finding for scripts; it never changes.
    public var code: String { shown.code }

    /// Describes the finding, without the order's name.
    ///
    /// It may quote text that hosts wrote.
    public var text: String { shown.text }

    private var shown: Shown {
        switch self {
        case .step(let finding): finding.shown
        case .path(let finding): finding.shown
        case .missing(let finding): finding.shown
        case .proof(let finding): finding.shown
        case .certificate(let finding): finding.shown
        case .gates(let finding): finding.shown
        }
    }
}

private typealias Shown = (code: String, text: String)

extension EvidenceCheck.Finding.Step {
    fileprivate var shown: Shown {
        switch self {
        case .stranger(let host, let stage):
            ("stranger", "\(host) reported '\(stage)', but is neither source nor target of the order")
        case .wrongReporter(let host, let stage, let owner):
            ("wrong-reporter", "\(host) reported '\(stage)', which only \(owner) may report")
        case .doneAgain: ("done-again", "its end was reported twice, with the same result")
        case .doneTwice: ("done-twice", "its end was reported twice, but an order may be used only once")
        case .missing(let stage):
            (
                "missing-step",
                "no host reported '\(stage)' before the move"
                    + (stage == .prepared ? ": its target never consented" : "")
            )
        case .outOfOrder: ("out-of-order", "its steps were reported in the wrong order")
        case .acceptedLate: ("accepted-late", "it was accepted after it had expired")
        case .beganLate: ("began-late", "it began after its latest permitted start")
        case .beganEarly: ("began-early", "it began before its earliest permitted start")
        case .otherDefinition(let reason): ("other-definition", reason.text)
        }
    }
}

extension EvidenceCheck.Finding.Path {
    fileprivate var shown: Shown {
        func known(_ bytes: UInt64?) -> String { bytes.map { "\($0)" } ?? "?" }
        return switch self {
        case .otherChannel(let channel, let ordered):
            ("other-channel", "it used \(channel.rawValue), but the order names \(ordered.rawValue)")
        case .inTheClear: ("in-the-clear", "it was sent unencrypted, as ordered")
        case .wrongVerdict(let verdict, let channel):
            ("wrong-verdict", "its verdict is '\(verdict.rawValue)' on the channel \(channel.rawValue)")
        case .coveredWithoutFigures:
            ("covered-without-figures", "its verdict is 'covered', but the figures are missing")
        case .notCovered(let onPath, let sent):
            ("not-covered", "its verdict is 'covered', but only \(onPath) of \(sent) bytes used the path")
        case .leak(let onPath, let sent):
            ("leak", "LEAK: \(known(onPath)) of \(known(sent)) bytes used the path")
        case .unknown: ("verdict-unknown", "its verdict is 'unknown', and the move failed")
        case .otherFigures(let evidence, let outcome):
            ("other-figures", "the hypervisor sent \(evidence) bytes in its evidence, but \(outcome) in its outcome")
        case .countersFell: ("counters-fell", "the counters of its path went backwards")
        case .counterAboveTotal(let bytes, let total):
            ("counter-above-total", "one counter shows \(bytes) bytes, but the total is \(total)")
        case .impossiblePackets(let traffic):
            ("impossible-packets", "\(traffic.bytes) bytes do not fit into \(traffic.packets) packets")
        }
    }
}

extension EvidenceCheck.Finding.Missing {
    fileprivate var shown: Shown {
        switch self {
        case .evidence: ("no-evidence", "the move is done, but there is no evidence of its path")
        case .verdict: ("no-verdict", "its verdict is 'unknown': the traffic on the path was not observed")
        case .figures: ("no-figures", "the number of bytes sent or of bytes on the path is missing")
        case .probes: ("no-probes", "no probe tried the target's ports before the move")
        case .step(let step):
            (
                "unknown-step",
                "another version reported '\(step.plainText(limit: 40))', which this program does not understand"
            )
        case .probeResults: ("no-probe-results", "none of the target's ports could be probed before the move")
        case .end(let note): ("end-unseen", "its source's agent reports: \(note)")
        case .statedEnd(let source, let end):
            (
                "end-stated",
                "\(source) reported no end; the record that ended the order states that the VM is on \(end.host): "
                    + end.reason
            )
        }
    }
}

extension EvidenceCheck.Finding.Proof {
    fileprivate var shown: Shown {
        switch self {
        case .missing(let channel): ("no-proof", "its evidence has no proof for the channel \(channel.rawValue)")
        case .wrongIdentity(let identity, let host):
            ("wrong-identity", "its SA is with '\(identity)', not with \(host)")
        case .notIKEv2(let suite): ("not-ikev2", "IKE was '\(suite)', not IKEv2")
        case .weakIKE(let suite, let minimum):
            ("weak-ike", "its IKE suite '\(suite)' is below \(minimum.rawValue) with X25519")
        case .weakESP(let suite, let minimum):
            ("weak-esp", "its ESP suite '\(suite)' is below \(minimum.rawValue) with X25519")
        case .notTunnelMode(let mode): ("not-tunnel-mode", "its SA has the mode '\(mode.rawValue)', not 'TUNNEL'")
        case .noSPI: ("no-spi", "its SA has no SPI")
        case .weakSession(let session, let minimum):
            ("weak-session", "its session, \(session.version) with \(session.suite), is below \(minimum.rawValue)")
        case .noHostKey: ("no-host-key", "the target's ssh host key is missing")
        case .noSealingKey: ("no-sealing-key", "its target provided no key to encrypt the image for")
        case .imageNotTakenOver:
            ("image-not-taken-over", "its target never reported that it took over the image and runs the VM")
        case .otherImageOpened:
            ("other-image-opened", "its target opened another image than its source signed")
        case .otherImage: ("other-image", "its evidence is of another image than its source signed")
        }
    }
}

extension EvidenceCheck.Finding.Certificate {
    fileprivate var shown: Shown {
        switch self {
        case .none: ("no-certificate", "the target authenticated with a key, not with a certificate")
        case .ofAnother(let subject, let host):
            ("certificate-of-another", "the target's certificate was issued to '\(subject)', not to \(host)")
        case .expired: ("certificate-expired", "the target's certificate had expired before the move began")
        case .notInRoster(let host): ("not-in-roster", "the roster has no host \(host)")
        case .forgotten(let host):
            ("certificates-forgotten", "the roster has no record of the certificates of \(host)")
        case .foreign(let fingerprint):
            (
                "foreign-certificate",
                "the cluster never issued the certificate that the target presented (SHA-256 "
                    + "\(fingerprint.plainText(limit: 64)))"
            )
        case .otherExpiry(let evidence, let roster):
            (
                "other-expiry",
                "the target's certificate expires on \(evidence.readable) according to the evidence, on "
                    + "\(roster.readable) according to the roster"
            )
        case .issuedLater(let at):
            ("certificate-issued-later", "the target's certificate was issued after the move began, on \(at.readable)")
        case .revoked(let at):
            ("certificate-revoked", "the target's certificate was revoked before the move began, on \(at.readable)")
        case .revokedAbout(let at):
            (
                "certificate-revoked-about",
                "the target's certificate was revoked at about the time the move began, on \(at.readable); the clocks "
                    + "are not exact enough to decide which came first"
            )
        }
    }
}

extension EvidenceCheck.Finding.Gates {
    fileprivate var shown: Shown {
        switch self {
        case .portOpen(let probe):
            ("port-open", "port \(probe.port) of \(probe.address) was open to any host before the move")
        case .portNotProbed(let probe):
            ("port-not-probed", "port \(probe.port) of \(probe.address) could not be probed")
        case .dropsNotCounted: ("drops-not-counted", "packets dropped at the gates were not counted")
        case .dropped(let packets): ("dropped", "\(packets) packets were dropped at the gates during the move")
        }
    }
}
