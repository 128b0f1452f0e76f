// SPDX-License-Identifier: Apache-2.0
internal import Fleet

extension SegmentReader {
    /// A reader of recent records reads at most about this many bytes of a log, whatever times its lines claim.
    private static let tailBytes: Int64 = 32 << 20
    /// A search ends at this distance.
    private static let closeBytes: Int64 = 256 << 10

    /// Returns a position before which all lines claim times before `instant`; `nil` if the log is empty.
    ///
    /// Finds it by bisection. A writer whose times do not rise misplaces only the readers of its own log.
    func start(since instant: Instant) throws(LedgerError) -> Cursor? {
        var bytes: Int64 = 0
        var start: Cursor?
        for number in try files.numbers().reversed() {
            guard let file = try OpenFile.open(files.path(number), flags: 0) else { break }
            let size = try file.size()
            // The newest segment is always read: it has the newest record of a writer that fell silent.
            guard start == nil || (bytes <= Self.tailBytes && size <= Self.tailBytes - bytes) else { break }
            // Another host chooses the sizes of its files.
            bytes = size > Self.tailBytes ? Self.tailBytes : bytes + size
            start = Cursor(segment: number, offset: 0)
            if let first = try Self.time(at: 0, in: file), first < instant {
                return Cursor(segment: number, offset: try Self.offset(since: instant, in: file, size: size))
            }
        }
        return start
    }

    /// Returns the beginning of a line that claims a time before `instant` and is not far before the first later one.
    private static func offset(
        since instant: Instant,
        in file: borrowing OpenFile,
        size: Int64
    ) throws(LedgerError) -> Int64 {
        var low: Int64 = 0
        var high = size
        while high - low > closeBytes {
            let middle = low + (high - low) / 2
            let chunk = try file.read(at: middle, count: Int(closeBytes / 2))
            guard let newline = chunk.firstIndex(of: LineCodec.newline) else {
                high = middle
                continue
            }
            let line = middle + Int64(newline) + 1
            if let time = try time(at: line, in: file), time < instant { low = line } else { high = middle }
        }
        return low
    }

    /// Returns the time that the line at `offset` claims.
    static func time(at offset: Int64, in file: borrowing OpenFile) throws(LedgerError) -> Instant? {
        LineGlimpse.time(try file.read(at: offset, count: 4096))
    }
}
