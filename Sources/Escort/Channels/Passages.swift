// SPDX-License-Identifier: Apache-2.0
internal import Fleet

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
