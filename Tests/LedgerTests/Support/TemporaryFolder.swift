// SPDX-License-Identifier: Apache-2.0
import Foundation

@testable import Ledger

/// Runs the body with the path of a child of a new folder that does not exist yet, and removes everything afterwards.
func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    let parent = FileManager.default.temporaryDirectory.appendingPathComponent("ek-ledger-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: parent) }
    try await body(parent.appendingPathComponent("ledger").path)
}

/// Returns the bytes of a file.
func contents(of path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Replaces the bytes of a file.
func put(_ bytes: some Sequence<UInt8>, into path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}

/// Returns the names in a folder, in order.
func names(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

/// Fills a folder with twice as many files as are read of it.
func crowd(_ folder: String) throws {
    for number in 0...2 * FolderListing.maximum {
        let descriptor = open("\(folder)/x\(number)", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        close(descriptor)
    }
}

/// Removes what `crowd(_:)` has made.
func disperse(_ folder: String) { for number in 0...2 * FolderListing.maximum { unlink("\(folder)/x\(number)") } }
