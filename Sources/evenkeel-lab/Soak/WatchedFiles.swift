// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The files of one program or of one part of a ledger.
struct WatchedFiles: Sendable {
    /// Folders of which every file counts; not those of their subfolders.
    var folders: [String] = []
    /// Folders whose subfolders count, also those that are made later.
    var parents: [String] = []
    /// Paths with which a file's path begins.
    var prefixes: [String] = []

    /// Counts the files that exist now; a folder that does not exist has none.
    func figures() -> FileFigures {
        var figures = FileFigures()
        let folders = folders + parents.flatMap { parent in Self.entries(of: parent).map { "\(parent)/\($0)" } }
        for folder in Set(folders + prefixes.map(Self.folder)) {
            for name in Self.entries(of: folder) {
                let path = "\(folder)/\(name)"
                let isWanted = folders.contains(folder) || prefixes.contains { path.hasPrefix($0) }
                // A file that has just been removed counts as such.
                guard isWanted, let attributes = try? FileManager.default.attributesOfItem(atPath: path),
                    attributes[.type] as? FileAttributeType != .typeDirectory
                else { continue }
                figures.files += 1
                figures.bytes += (attributes[.size] as? NSNumber)?.int64Value ?? 0
            }
        }
        return figures
    }

    /// Returns the names in a folder, in order; none if it does not exist.
    static func entries(of folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    private static func folder(of path: String) -> String {
        "/" + path.split(separator: "/").dropLast().joined(separator: "/")
    }
}

struct FileFigures: Codable, Sendable, Equatable {
    var files = 0
    var bytes: Int64 = 0
}
