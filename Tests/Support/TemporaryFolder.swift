// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs the body with a new folder, and removes it afterwards.
package func withFolder<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("evenkeel-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder.path)
}

/// Runs the body with a new private folder on a file system in memory, and removes it afterwards.
package func withMemoryFolder<R>(
    mode: Int = 0o700,
    in parent: String = "/dev/shm",
    _ body: (String) async throws -> R
) async throws -> R {
    let folder = "\(parent)/evenkeel-test-\(UUID().uuidString)"
    let attributes: [FileAttributeKey: Any] = [.posixPermissions: mode]
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false, attributes: attributes)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await body(folder)
}
