// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// A path in the clear: nothing is proven, and the evidence reports that.
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
