// SPDX-License-Identifier: Apache-2.0
package import HostOS
package import Foundation

/// The built programs, and folders for their files.
package enum Program {
    private static let products = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent()

    package static func evenkeel(
        _ arguments: [String],
        timeLimit: Duration = .seconds(60)
    ) async throws -> CommandResult {
        try await Command(products.appendingPathComponent("evenkeel").path, arguments, timeLimit: timeLimit).result()
    }

    package static let release = products.deletingLastPathComponent().appendingPathComponent("release/evenkeel")

    /// Why there is no usable release program; `nil`: it exists and is newer than its sources.
    package static var releaseIsMissing: String? {
        func modified(_ path: String) -> Date? {
            (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
        }
        guard let built = modified(release.path) else { return "\(release.path) is missing" }
        let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "../../Sources"
        )
        .standardizedFileURL.path
        for target in ["Fleet", "Balancing", "Coordination", "Simulation", "EvenkeelCLI", "evenkeel"] {
            for file in FileManager.default.enumerator(atPath: "\(sources)/\(target)")
                ?? FileManager.DirectoryEnumerator()
            {
                guard let file = file as? String, let changed = modified("\(sources)/\(target)/\(file)") else {
                    continue
                }
                if changed > built { return "it is older than Sources/\(target)/\(file)" }
            }
        }
        return nil
    }

    package static func inFolder<Result>(_ body: (URL) async throws -> Result) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("simulate-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder)
    }
}
