// SPDX-License-Identifier: Apache-2.0
import Coordination
import Fleet
import Foundation
import HostOS
import Hypervisor

/// The return of a saved VM to its source.
extension SealedMoves {
    /// Ensures that the VM runs here with its definition: if it is stopped, restores it from its image.
    ///
    /// If its image was lost because the host was down, a VM that starts with the host is started from its disks.
    func takeBack(_ order: MigrationOrder, startsWithHost: Bool) async -> Result<Instant, OrderFailure> {
        do {
            let kept = try await keptDefinition(of: order)
            let presence = try await hypervisor.presence(of: order.vm)
            switch presence {
            case .running:
                try await redefine(order, kept)
                return .success(.now)
            case .inactive, .absent: break
            // A previous run of the agent restored it, and ended before it resumed it.
            case .pausedByMigration:
                try await redefine(order, kept)
                try await record(.started, of: order)
                // The handover says that the VM is this host's, so it may also be transient.
                try await hypervisor.startRestored(order.vm)
                if let folder = try? self.folder(order) { unlink(Self.image(of: order, in: folder)) }
                return .success(.now)
            case .migratingOut, .paused:
                // A transient VM would disappear when its owner destroys it.
                try await redefine(order, kept)
                return failure(.inDoubt, .vmIs(presence, vm: order.vmName, host: host))
            }
            let folder = try folder(order)
            guard let imageBytes = Self.imageBytes(of: order, in: folder) else {
                return try await startFromDisks(order, kept, presence, startsWithHost: startsWithHost)
            }
            guard presence == .absent || kept == nil else {
                // From now on its disks may be newer than the image, even if the definition is removed again.
                try await record(.started, of: order)
                return failure(.inDoubt, .definedMeanwhile(vm: order.vmName, host: host, folder: folder))
            }
            let saved = SavedVM(
                vm: order.vm,
                name: order.vmName,
                path: Self.image(of: order, in: folder),
                imageBytes: imageBytes,
                // An agent of an earlier version left it in the hypervisor.
                definition: presence == .inactive ? "" : kept,
                startsWithHost: startsWithHost,
                stoppedAt: .now
            )
            return await restore(saved, presence == .inactive ? .back : .arrival, order)
        } catch { return failure(.inDoubt, .failed(detail: "\(error)")) }
    }

    /// Starts a VM that has lost its image, if the host was down meanwhile and the VM starts with it.
    private func startFromDisks(
        _ order: MigrationOrder,
        _ kept: String?,
        _ presence: DomainPresence,
        startsWithHost: Bool
    ) async throws -> Result<Instant, OrderFailure> {
        if presence == .absent { try await redefine(order, kept) }
        let now = try await hypervisor.presence(of: order.vm)
        if now == .inactive, startsWithHost, let booted = HostClock.bootTime(), booted > order.issuedAt {
            try await hypervisor.setAutostart(of: order.vm, to: true)
            try await hypervisor.start(order.vm)
            return .success(.now)
        }
        return failure(.inDoubt, .noImage(now, vm: order.vmName, host: host, folder: try folder(order)))
    }

    private func keptDefinition(of order: MigrationOrder) async throws -> String? {
        guard let definitions else { return nil }
        return try await Blocking.onStorage(within: .hangLimit, "reading the definition of \(order.vmName)") {
            try definitions.read(of: order.id)
        }
    }

    private func redefine(_ order: MigrationOrder, _ kept: String?) async throws {
        if let kept { try await hypervisor.define(kept, of: order.vm) }
    }

    static func image(of order: MigrationOrder, in folder: String) -> String { "\(folder)/\(order.vm).image" }

    /// Returns the size of the order's image; `nil` if there is none.
    private static func imageBytes(of order: MigrationOrder, in folder: String) -> UInt64? {
        var status = stat()
        guard lstat(image(of: order, in: folder), &status) == 0 else { return nil }
        return UInt64(clamping: status.st_size)
    }

    /// Removes the kept definition once it is useless; returns the path of one that is still needed.
    ///
    /// If the VM belongs here and is absent, it may have lost its definition, or may have moved on since. It is not
    /// defined again: that could be a second definition.
    func forgetDefinition(of order: MigrationOrder, belongsHere: Bool) async -> String? {
        guard let definitions else { return nil }
        do {
            guard let kept = try await keptDefinition(of: order) else { return nil }
            let isAbsent = try await hypervisor.presence(of: order.vm) == .absent
            if isAbsent, belongsHere { return try definitions.path(of: order.id) }
            if !isAbsent { try await redefine(order, kept) }
            try await Blocking.onStorage(within: .hangLimit, "removing the definition of \(order.vmName)") {
                definitions.remove(of: order.id)
            }
            return nil
        } catch { return try? definitions.path(of: order.id) }
    }
}
