// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import Settings

/// The folders and files of sealed moves: made before an image, and removed after it.
extension SealedMoves {
    /// Beside the image: devices, the definition, and what the ledger on the same storage needs meanwhile.
    private static func needed(for imageBytes: UInt64) -> UInt64 {
        let (sum, overflowed) = imageBytes.addingReportingOverflow(imageBytes / 20 + (256 << 20))
        return overflowed ? .max : sum
    }

    func prepareFolders(_ folder: String, imageBytes: UInt64, isOpenedHere: Bool) async throws {
        let (storage, parent) = (storage, settings.migration.sealedFolder)
        try await BlockingWork.run(within: .seconds(10), "looking at \(storage)") {
            try SealingFiles.makeFolder(storage, isShared: true)
            try SealingFiles.requireRoom(storage, bytes: Self.needed(for: imageBytes))
            try SealingFiles.makeFolder(parent)
            try SealingFiles.makeFolder(folder)
            // The source's hypervisor knows how much it is about to write.
            try SealingFiles.requireMemory(folder, bytes: isOpenedHere ? imageBytes : 0)
        }
    }

    /// Removes what is left of an order that is over.
    func forget(_ order: MigrationOrder) async {
        await keys.forget(order.id)
        guard let folder = try? folder(order), let file = try? file(order) else { return }
        let isSource = order.source == host
        try? await BlockingWork.run(within: .seconds(60), "removing \(file.path)") {
            try? FileManager.default.removeItem(atPath: folder)
            if isSource { unlink(file.path) }
        }
    }

    /// Folders with an image in them that are of none of these orders.
    func strayImages(besides orders: [OrderID]) -> [String] {
        let parent = settings.migration.sealedFolder
        let known = Set(orders.map(\.rawValue))
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        return names.filter { !known.contains($0) }.map { "\(parent)/\($0)" }
            .filter { folder in
                let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
                return files.contains { $0.hasSuffix(".image") }
            }
    }
}
