// SPDX-License-Identifier: Apache-2.0
import HostOS
import Fleet
import Foundation
import Settings

/// The folders and files of sealed moves: created before an image, and removed after it.
extension SealedMoves {
    /// Returns the room in bytes that an image needs: also for devices, the definition, and the ledger on the same
    /// storage.
    private static func needed(for imageBytes: UInt64) -> UInt64 {
        let (sum, overflowed) = imageBytes.addingReportingOverflow(imageBytes / 20 + (256 << 20))
        return overflowed ? .max : sum
    }

    func prepareFolders(_ folder: String, imageBytes: UInt64, isOpenedHere: Bool) async throws {
        let (storage, parent) = (storage, settings.migration.sealedFolder)
        try await Blocking.onStorage(within: DiskFiles.patience, "checking \(storage)") {
            try SealingFiles.makeFolder(storage, isShared: true)
            try SealingFiles.requireRoom(storage, bytes: Self.needed(for: imageBytes))
            try SealingFiles.makeFolder(parent)
            try SealingFiles.makeFolder(folder)
            // At the source, the hypervisor checks the room before it writes.
            try SealingFiles.requireMemory(folder, bytes: isOpenedHere ? imageBytes : 0)
        }
    }

    /// Removes the files of an order that has ended; returns the file of a definition that could not be given back.
    ///
    /// `belongsHere`: the order ended with the VM on this host.
    func forget(_ order: MigrationOrder, belongsHere: Bool) async -> String? {
        await keys.forget(order.id)
        guard let folder = try? folder(order), let file = try? file(order) else { return nil }
        let isSource = order.source == host
        let left = isSource ? await forgetDefinition(of: order, belongsHere: belongsHere) : nil
        try? await Blocking.onStorage(within: .seconds(60), "removing \(file.path)") {
            try? FileManager.default.removeItem(atPath: folder)
            if isSource { unlink(file.path) }
        }
        return left
    }

    /// Returns the folders that contain an image, and the kept definitions, that belong to none of these orders.
    func strays(besides orders: [OrderID]) -> [String] {
        let parent = settings.migration.sealedFolder
        let known = Set(orders.map(\.rawValue))
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        let definitions = definitions?.strays(besides: known) ?? []
        return definitions
            + names.filter { !known.contains($0) }.map { "\(parent)/\($0)" }
            .filter { folder in
                let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
                return files.contains { $0.hasSuffix(".image") }
            }
    }
}
