// SPDX-License-Identifier: Apache-2.0
import Fleet
import Foundation
import HostOS

/// The definitions of VMs whose sealed moves have removed them from this host's hypervisor, until the moves end.
///
/// Each file is the only copy, and survives a crash of the host. A definition may contain secrets (for example a
/// console's password), so only the agent's user can read it.
struct KeptDefinitions: Sendable {
    let folder: String

    /// Maximum size of a definition in bytes; usual ones have about 10 kB.
    private static let largest = 4 << 20

    func path(of order: OrderID) throws -> String { "\(folder)/\(try SealedFormat.fileName(order)).xml" }

    /// Returns when the definition is on the disk.
    ///
    /// Blocks.
    func keep(_ definition: String, of order: OrderID) throws {
        try SealingFiles.makeFolder(folder)
        guard definition.utf8.count <= Self.largest else {
            throw SealingError("the definition is larger than \(Self.largest) bytes")
        }
        try DurableFile.replace(path(of: order), with: definition.utf8, mode: 0o600)
    }

    /// Returns the definition; `nil` if none is kept, as for a transient VM.
    ///
    /// Blocks.
    func read(of order: OrderID) throws -> String? {
        do {
            return String(decoding: try SafeFile.read(path(of: order), .secret, atMost: Self.largest), as: UTF8.self)
        } catch let error as SafeFile.Failure where error.reason == .system(ENOENT) { return nil }
    }

    func remove(of order: OrderID) { if let path = try? path(of: order) { unlink(path) } }

    /// Returns the files that belong to none of these orders.
    ///
    /// Blocks.
    func strays(besides orders: Set<String>) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".xml") && !orders.contains(String($0.dropLast(4))) }.map {
            "\(folder)/\($0)"
        }
    }
}
