// SPDX-License-Identifier: Apache-2.0

extension SegmentReader {
    /// Number of lines to search for a genuine one at the beginning of a later segment.
    private static let looked = 100

    /// Throws `.rolledBack` unless the line is at its position, or retention has removed it.
    ///
    /// If retention has removed it, a later segment has a genuine line.
    func requireLine(_ mark: LedgerMark, isGenuine: (RawBatch.Line) -> Bool) throws(LedgerError) {
        let found: RawBatch
        do {
            found = try read(from: mark.at, limit: Self.looked)
        } catch {
            guard case .cursorNotInLog(let path, _, let reason) = error else { throw error }
            throw .rolledBack(path: path, reason: "\(seen(mark)); \(reason)")
        }
        guard found.gap != nil else {
            guard let line = found.lines.first, LedgerMark(at: line.at, line: line.bytes) == mark else {
                throw .rolledBack(path: files.path(mark.at.segment), reason: "\(seen(mark)); another line is there now")
            }
            return
        }
        // Retention removes the oldest segments first: if an older one exists, it was not retention.
        let oldest = try files.numbers().first ?? 0
        guard oldest > mark.at.segment else {
            throw .rolledBack(
                path: files.path(mark.at.segment),
                reason: "\(seen(mark)); that segment is missing, but segment \(oldest) exists"
            )
        }
        guard found.lines.contains(where: isGenuine) else {
            throw .rolledBack(
                path: files.path(oldest),
                reason: "\(seen(mark)); that segment is missing, and this one has no genuine line"
            )
        }
    }

    /// Returns whether the line is at its position.
    func has(_ line: FreshLine) throws(LedgerError) -> Bool {
        let length = Int(line.end.offset - line.mark.at.offset)
        guard let found = try self.line(at: line.mark.at, before: line.end, atMost: length) else { return false }
        return LedgerMark(at: found.at, line: found.bytes) == line.mark
    }

    private func seen(_ mark: LedgerMark) -> String { "a line of \(files.log) was seen at \(mark.at)" }
}
