// SPDX-License-Identifier: Apache-2.0
import Fleet

extension EvidenceCheck {
    mutating func check(_ certificate: CertificateFacts, _ state: OrderState) {
        if !Self.names(certificate.subject, order.target) {
            add(.certificate(.ofAnother(certificate.subject, order.target)))
        }
        let began = state.startedAt ?? state.changedAt
        if certificate.expires <= began { add(.certificate(.expired)) }
        if let certificates { check(certificate, against: certificates[order.target], began: began) }
    }

    /// Compares the certificate that the target presented with those that the cluster issued to it.
    ///
    /// `issued`: `nil` if the roster never had the host.
    private mutating func check(
        _ certificate: CertificateFacts,
        against issued: [IssuedCertificate]?,
        began: Instant
    ) {
        guard let issued else { return add(.certificate(.notInRoster(order.target))) }
        if issued.isEmpty { return add(.certificate(.forgotten(order.target))) }
        guard let listed = issued.first(where: { $0.fingerprint == certificate.fingerprint }) else {
            return add(.certificate(.foreign(fingerprint: certificate.fingerprint)))
        }
        if listed.expires != certificate.expires {
            add(.certificate(.otherExpiry(evidence: certificate.expires, roster: listed.expires)))
        }
        if began + Self.clockTolerance < listed.issuedAt { add(.certificate(.issuedLater(listed.issuedAt))) }
        guard let end = listed.endedAt else { return }
        if end + Self.clockTolerance <= began {
            add(.certificate(.revoked(end)))
        } else if end - Self.clockTolerance < began {
            add(.certificate(.revokedAbout(end)))
        }
    }
}
