// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// In the clear: nothing is proven, and the evidence says so.
struct PlainPath: ProtectedPath {
    let route: MigrationRoute
    let use: TunnelUse
    let close: @Sendable () async -> Void

    func observe() async -> PathObservation { PathObservation(bytes: 0, loss: nil) }

    func end(hypervisorBytes: UInt64?) async -> Evidence {
        await close()
        return Evidence(channel: .plain, bytesByHypervisor: hypervisorBytes, verdict: .unprotected)
    }
}
