// SPDX-License-Identifier: Apache-2.0
internal import HostOS

extension SharedLog {
    /// Returns the end of each stream of the log in `folder`, by `LedgerStream.rawValue`, for a member's revocation.
    ///
    /// Throws a `LedgerError` if the folder is not a ledger or cannot be read.
    public static func ends(folder: String) async throws -> [String: Cursor] {
        let limit = Options().timeLimit
        return try await Blocking.run(
            within: limit,
            late: { LedgerError.stalled(path: folder, waited: limit, mayBeWritten: $0) },
            { () throws(LedgerError) in
                var ends: [String: Cursor] = [:]
                for stream in LedgerStream.allCases {
                    ends[stream.rawValue] = try end(of: SegmentFiles(folder: folder, stream: stream))
                }
                return ends
            }
        )
    }

    /// Returns the position after the last complete line; an incomplete line counts as a future one.
    private static func end(of files: SegmentFiles) throws(LedgerError) -> Cursor {
        guard let last = try files.numbers().last,
            let file = try OpenFile.open(files.path(last), flags: 0)
        else { return .origin }
        var end = try file.size()
        while end > 0 {
            let begin = max(0, end - (64 << 10))
            let chunk = try file.read(at: begin, count: Int(end - begin))
            if let newline = chunk.lastIndex(of: LineCodec.newline) {
                return Cursor(segment: last, offset: begin + Int64(newline) + 1)
            }
            end = begin
        }
        return Cursor(segment: last, offset: 0)
    }
}
