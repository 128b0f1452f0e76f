// SPDX-License-Identifier: Apache-2.0
import Escort
import Fleet
import FleetFiles
import Settings

/// Checks before this host accepts an order.
extension AgentService {
    /// Returns the requirements of a VM that this host, as its target, does not meet.
    func unmet(
        _ requirements: VMRequirements,
        for order: MigrationOrder,
        promisedBytes: UInt64
    ) async -> [PreflightFailure] {
        if order.channel == .plain, !settings.escort.allowPlain || order.issuer != .operator {
            return [escortFailure(.plainNotAllowed)]
        }
        if let failure = stateFolderFailure() { return [failure] }
        if let failure = await closureFailure(order) { return [failure] }
        do throws(EscortError) { try channels.checkConfigured(order.channel) } catch {
            return [escortFailure(.failed(detail: error.description))]
        }
        // The image is in memory in addition to the VM that is restored from it.
        let imageBytes = order.channel == .sealed ? requirements.memoryBytes : 0
        let (reserved, overflowed) = promisedBytes.addingReportingOverflow(imageBytes)
        let checks = TargetChecks(
            host: host,
            order: order.id,
            hypervisor: hypervisor,
            resources: resources,
            memoryCeiling: settings.policy.memory.upper,
            takesMemory: !order.isOffline,
            promisedBytes: overflowed ? .max : reserved,
            stretchedNetworks: settings.migration.stretchedNetworks
        )
        return await checks.unmet(requirements)
    }

    /// Returns a failure if this host cannot record its steps of orders, for instance that it restores a sealed image.
    private func stateFolderFailure() -> PreflightFailure? {
        stateFolder?.reason.map {
            PreflightFailure(check: .state, host: host, reason: .host(.takesNoOrders(detail: $0)))
        }
    }

    /// Returns a failure if the list of channels closed after leaks is damaged: any channel may be on it.
    ///
    /// Moves in the clear are exempt: no leak closes `plain`.
    func closureFailure(_ order: MigrationOrder) async -> PreflightFailure? {
        guard order.channel != .plain, let damage = await closures?.damage else { return nil }
        return escortFailure(.closuresDamaged(detail: damage.description))
    }

    func escortFailure(_ reason: PreflightFailure.EscortReason) -> PreflightFailure {
        PreflightFailure(check: .escort, host: host, reason: .escort(reason))
    }

    /// Returns a failure if this host cannot take part in a sealed move.
    func sealedFailure() async -> PreflightFailure? {
        guard await !channels.offered().contains(.sealed) else { return nil }
        return escortFailure(.sealedNotOffered)
    }
}
