// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Inside IPsec.
struct IPsecPassage: Passage {
    let meter: MoveMeter
    /// The cluster's certificate for the name and address that IKE demanded of the peer; `nil` with pre-shared keys.
    let certificate: CertificateFacts?

    var route: MigrationRoute { meter.route }

    func observe() async -> PassageObservation { await meter.observe() }

    func end(hypervisorBytes: UInt64?) async -> Evidence {
        var evidence = await meter.end(hypervisorBytes: hypervisorBytes)
        evidence.peerCertificate = certificate
        return evidence
    }
}

/// QEMU's TLS inside the IPsec tunnel: the tunnel's evidence, and the TLS session beside it.
struct DoublePassage: Passage {
    let meter: MoveMeter
    let tlsName: String
    let handshake: TLSHandshake.Result

    var route: MigrationRoute {
        var route = meter.route
        route.tlsName = tlsName
        return route
    }

    func observe() async -> PassageObservation { await meter.observe() }

    func end(hypervisorBytes: UInt64?) async -> Evidence {
        var evidence = await meter.end(hypervisorBytes: hypervisorBytes)
        evidence.channel = .ipsecTLS
        evidence.peerCertificate = handshake.certificate
        evidence.session = handshake.session
        return evidence
    }
}

/// In the clear: nothing is proven, and the evidence says so.
struct PlainPassage: Passage {
    let route: MigrationRoute
    let use: TunnelUse
    let close: @Sendable () async -> Void

    func observe() async -> PassageObservation { PassageObservation(bytes: 0, loss: nil) }

    func end(hypervisorBytes: UInt64?) async -> Evidence {
        await close()
        return Evidence(channel: .plain, bytesByHypervisor: hypervisorBytes, verdict: .unprotected)
    }
}
