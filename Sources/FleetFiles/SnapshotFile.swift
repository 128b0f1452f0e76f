// SPDX-License-Identifier: Apache-2.0
public import Fleet
public import Foundation

/// A fleet in Evenkeel's JSON format, described in docs/snapshot.md.
public struct SnapshotFile: Sendable {
    public var model: FleetModel

    public init(model: FleetModel) { self.model = model }

    static let format = "evenkeel-snapshot"
    static let version = 1

    /// Reads the bytes of a file and checks all of it.
    public static func read(_ bytes: Data, name: String) throws(FleetFileError) -> SnapshotFile {
        let content: SnapshotContent
        do {
            content = try JSONDecoder().decode(SnapshotContent.self, from: bytes)
        } catch {
            throw SnapshotLines(bytes).error(error, file: name)
        }
        var check = SnapshotCheck(content: content, file: name, lines: SnapshotLines(bytes))
        return SnapshotFile(model: try check.model())
    }

    /// Returns the bytes of the file, with sorted keys and indentation.
    public func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(SnapshotContent(model)) + Data("\n".utf8)
    }
}
