// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The number of samples written to a ledger, counted by its lines.
///
/// It verifies and decodes nothing, so that the observer costs little. It must be updated before the ledger drops a
/// file that is not counted yet.
struct SampleCount {
    let folder: String
    private(set) var samples = 0
    private var file = ""
    private var offset: UInt64 = 0

    init(ledger folder: String) { self.folder = folder }

    /// Counts the lines that were added since the last call.
    mutating func update() {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
            .filter { $0.hasPrefix("load.") && $0.hasSuffix(".jsonl") && $0 >= file }
        for name in names.sorted() {
            if name != file { (file, offset) = (name, 0) }
            // The file may have been dropped a moment ago.
            guard let handle = FileHandle(forReadingAtPath: "\(folder)/\(name)") else { continue }
            defer { try? handle.close() }
            guard (try? handle.seek(toOffset: offset)) != nil else { continue }
            while let chunk = try? handle.read(upToCount: 1 << 20), !chunk.isEmpty {
                samples += chunk.count { $0 == UInt8(ascii: "\n") }
                offset += UInt64(chunk.count)
            }
        }
    }
}
