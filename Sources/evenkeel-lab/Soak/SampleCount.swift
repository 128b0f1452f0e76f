// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The number of samples written to a ledger, counted by its lines.
///
/// It verifies and decodes nothing, so that the observer costs little. It must be updated before the ledger drops a
/// file that is not counted yet.
struct SampleCount {
    let folder: String
    private(set) var samples = 0
    /// Where counting continues in the files of each host, by their folder.
    private var positions: [String: Position] = [:]

    private struct Position {
        var file = ""
        var offset: UInt64 = 0
    }

    init(ledger folder: String) { self.folder = folder }

    /// Counts the lines that were added since the last call.
    mutating func update() {
        for host in WatchedFiles.entries(of: "\(folder)/load") {
            var position = positions[host] ?? Position()
            count("\(folder)/load/\(host)", from: &position)
            positions[host] = position
        }
    }

    private mutating func count(_ folder: String, from position: inout Position) {
        let first = position.file
        for name in WatchedFiles.entries(of: folder).filter({ $0.hasSuffix(".jsonl") && $0 >= first }) {
            if name != position.file { position = Position(file: name) }
            // The file may have been dropped a moment ago.
            guard let handle = FileHandle(forReadingAtPath: "\(folder)/\(name)") else { continue }
            defer { try? handle.close() }
            guard (try? handle.seek(toOffset: position.offset)) != nil else { continue }
            while let chunk = try? handle.read(upToCount: 1 << 20), !chunk.isEmpty {
                samples += chunk.count { $0 == UInt8(ascii: "\n") }
                position.offset += UInt64(chunk.count)
            }
        }
    }
}
