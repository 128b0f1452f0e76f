// SPDX-License-Identifier: Apache-2.0
import Fleet

extension EvidenceCheck {
    mutating func checkCertificate(_ evidence: Evidence, _ life: OrderLife) {
        guard let certificate = evidence.peerCertificate else {
            if [.tls, .ipsecTLS].contains(order.channel) { return fail("the target showed no certificate") }
            return note("the target proved itself with a key, not with a certificate")
        }
        if !Self.names(certificate.subject, order.target) {
            fail("the target's certificate is of '\(certificate.subject)', not of \(order.target)")
        }
        let began = life.startedAt ?? life.changedAt
        if certificate.expires <= began { fail("the target's certificate had expired when the move began") }
        if let certificates { check(certificate, against: certificates[order.target], began: began) }
    }

    /// Holds the certificate that the target showed against those that the cluster gave it: `nil` for a host that it
    /// never had.
    private mutating func check(
        _ certificate: CertificateFacts,
        against issued: [IssuedCertificate]?,
        began: Instant
    ) {
        guard let issued else { return fail("the roster has no host \(order.target)") }
        if issued.isEmpty {
            return unproven("the roster does not remember which certificates \(order.target) had")
        }
        guard let listed = issued.first(where: { $0.fingerprint == certificate.fingerprint }) else {
            return fail(
                "the certificate that the target showed is none that the cluster gave it (SHA-256 "
                    + "\(certificate.fingerprint.plainText(limit: 64)))"
            )
        }
        if listed.expires != certificate.expires {
            fail(
                "its evidence says the target's certificate expires on \(certificate.expires.readable), the roster on "
                    + listed.expires.readable
            )
        }
        if began + Self.clockTolerance < listed.issuedAt {
            fail("the target's certificate was issued after the move began, on \(listed.issuedAt.readable)")
        }
        guard let end = listed.endedAt else { return }
        if end + Self.clockTolerance <= began {
            fail("the target's certificate was revoked before the move began, on \(end.readable)")
        } else if end - Self.clockTolerance < began {
            unproven(
                "the target's certificate was revoked at about the time at which the move began, on \(end.readable): "
                    + "which was first, clocks do not tell"
            )
        }
    }
}
