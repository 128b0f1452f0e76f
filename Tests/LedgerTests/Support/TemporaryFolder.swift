// SPDX-License-Identifier: Apache-2.0
import Foundation

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
