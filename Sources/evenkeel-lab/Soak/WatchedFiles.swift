// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The files of one program or of one part of a ledger.
struct WatchedFiles: Sendable {
    /// Folders of which every file counts; not those of their subfolders.
    var folders: [String] = []
    /// Paths with which a file's path begins.
    var prefixes: [String] = []
    /// Files of the folders that do not count.
    var exceptPrefixes: [String] = []

    /// Counts the files that exist now; a folder that does not exist has none.
    func figures() -> FileFigures {
        var figures = FileFigures()
        for folder in Set(folders + prefixes.map(Self.folder)) {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                let path = "\(folder)/\(name)"
                let isWanted =
                    prefixes.contains { path.hasPrefix($0) }
                    || folders.contains(folder) && !exceptPrefixes.contains { path.hasPrefix($0) }
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

    private static func folder(of path: String) -> String {
        "/" + path.split(separator: "/").dropLast().joined(separator: "/")
    }
}

struct FileFigures: Codable, Sendable, Equatable {
    var files = 0
    var bytes: Int64 = 0
}
