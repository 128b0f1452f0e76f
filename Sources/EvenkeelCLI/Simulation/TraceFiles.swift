// SPDX-License-Identifier: Apache-2.0
import HostOS
import Foundation
import Simulation

/// Traces in a folder, an archive or a single file.
enum TraceFiles {
    /// Maximum number of bytes to read, so that a wrong folder does not exhaust the memory.
    private static let mostBytes = 4 << 30

    static func read(_ path: String) async throws -> [Trace] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw TraceError(file: path, reason: "no such file or folder")
        }
        if isFolder.boolValue { return try traces(in: path) }
        let archives = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"]
        guard archives.contains(where: { path.hasSuffix($0) }) else { return [try trace(path, below: nil)] }
        let folder = NSTemporaryDirectory() + "evenkeel-traces-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do {
            _ = try await Command(
                "tar",
                ["--extract", "--no-same-owner", "--file", path, "--directory", folder],
                timeLimit: .seconds(300)
            ).run()
        } catch { throw TraceError(file: path, reason: "cannot unpack: \(error)") }
        return try traces(in: folder)
    }

    private static func traces(in folder: String) throws -> [Trace] {
        guard let walk = FileManager.default.enumerator(atPath: folder) else {
            throw TraceError(file: folder, reason: "cannot read the folder")
        }
        var files: [String] = []
        var bytes = 0
        for case let file as String in walk {
            guard !file.split(separator: "/").contains(where: { $0.hasPrefix(".") }),
                walk.fileAttributes?[.type] as? FileAttributeType == .typeRegular
            else { continue }
            bytes += (walk.fileAttributes?[.size] as? NSNumber)?.intValue ?? 0
            files.append(file)
        }
        guard !files.isEmpty else { throw TraceError(file: folder, reason: "the folder contains no traces") }
        guard bytes <= mostBytes else {
            throw TraceError(
                file: folder,
                reason: "the files have \(bytes >> 30) GiB; the limit is \(mostBytes >> 30) GiB"
            )
        }
        return try files.sorted().map { try trace("\(folder)/\($0)", below: folder) }
    }

    private static func trace(_ path: String, below folder: String?) throws -> Trace {
        let name = folder.map { String(path.dropFirst($0.count + 1)) } ?? path
        guard let data = FileManager.default.contents(atPath: path) else {
            throw TraceError(file: name, reason: "cannot read the file")
        }
        return try Trace(name: name, text: String(decoding: data, as: UTF8.self))
    }
}
