// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Glibc

/// The content of `ledger.json`.
struct LedgerMarker: Codable {
    var format: Int
    /// A random id; `nil` in ledgers of format 1.
    var id: String?

    static var new: LedgerMarker { LedgerMarker(format: 2, id: newID()) }

    static func newID() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    var json: [UInt8] {
        Array("{\"format\":\(format)\(id.map { ",\"id\":\"\($0)\"" } ?? "")}\n".utf8)
    }

    /// Reads the file in a ledger's folder.
    static func read(in folder: String) throws(LedgerError) -> LedgerMarker {
        let path = "\(folder)/\(SharedLog.markerName)"
        guard let file = try OpenFile.open(path, flags: O_RDONLY) else {
            try SegmentFiles(folder: folder, stream: .load).requireLedger()
            throw .notALedger(path: folder, reason: "\(SharedLog.markerName) was removed a moment ago")
        }
        let bytes = try file.read(at: 0, count: 4096)
        guard let content = try? JSONDecoder().decode(LedgerMarker.self, from: Data(bytes)) else {
            throw .notALedger(path: folder, reason: "its \(SharedLog.markerName) cannot be read")
        }
        return content
    }
}
