// SPDX-License-Identifier: Apache-2.0
internal import Fleet
internal import Glibc

/// How much of a log is kept.
///
/// Whole segments are removed, the oldest first, and never the active one.
public struct Retention: Sendable, Equatable {
    /// A segment is removed once its last record was written this long ago; of reports, only if it is older than every
    /// order that is kept.
    public var age: Duration
    /// Maximum size of all segments together, in bytes.
    public var bytes: Int

    public init(age: Duration, bytes: Int) {
        self.age = age
        self.bytes = bytes
    }
}

extension SegmentFiles {
    /// Removes the segments before `active` that retention does not keep.
    ///
    /// A segment is old only if two clocks agree: the storage's, and those of the records' writers. So one wrong clock
    /// removes nothing. Errors are ignored: the next rotation tries again, and the current append has succeeded. The oldest
    /// segment goes first, because readers take a hole for an alteration.
    ///
    /// `orders`: the log of the orders to which these reports belong. Without its reports, an order that has ended looks
    /// like one that never began. The size is limited nevertheless; readers then leave such orders out (`HistoryDigest`).
    func removeSegments(before active: Int, beyond retention: Retention, segmentBytes: Int64, of orders: SegmentFiles?)
    {
        guard let numbers = try? numbers(), let now = status(active)?.modifiedAt else { return }
        let neededSince = orders.flatMap { $0.oldestTime() }.map { $0 - Self.clockTolerance }
        // The active segment counts as full, because the next check comes only when it is.
        var bytes = segmentBytes
        var oldestKept = active
        let newest = firstTime(of: active)
        for number in numbers.reversed() where number < active {
            guard let status = status(number) else { continue }
            // Other hosts choose sizes and times of their files.
            let room = Int64(clamping: retention.bytes) - bytes
            let isNeeded = neededSince.map { .seconds(status.modifiedAt) >= $0 } ?? false
            let isYoung =
                .seconds(now) - .seconds(status.modifiedAt) <= retention.age
                || claimedAge(before: oldestKept, at: newest) <= retention.age
            guard status.bytes <= room, isYoung || isNeeded else { break }
            bytes += status.bytes
            oldestKept = number
        }
        for number in numbers where number < oldestKept {
            guard unlink(path(number)) == 0 || errno == ENOENT else { return }
        }
    }

    /// Returns how long before `newest` the segment before `following` ended, by the times that records claim; zero if they
    /// claim none.
    private func claimedAge(before following: Int, at newest: Instant?) -> Duration {
        guard let newest, let end = firstTime(of: following) else { return .zero }
        return newest - end
    }

    private func firstTime(of number: Int) -> Instant? {
        guard let file = try? OpenFile.open(path(number), flags: 0) else { return nil }
        return try? SegmentReader.time(at: 0, in: file)
    }

    /// Returns whether the active segment of a shared log has records of more than an eighth of the retention's age.
    ///
    /// In a small fleet, orders may take years to fill a segment, and none of them would be removed until then. Samples
    /// fill theirs in hours. By the storage's times, as for removal: a segment begins with the end of the one before it,
    /// the first one with the ledger.
    func coversTooMuchTime(_ active: Int, for retention: Retention) -> Bool {
        guard log.writer == nil, let last = status(active)?.modifiedAt,
            let start = (status(active - 1) ?? Self.status("\(ledger)/\(SharedLog.markerName)"))?.modifiedAt
        else { return false }
        return .seconds(last) - .seconds(start) > retention.age / 8
    }

    /// How far the clocks of the storage and of an order's writer may differ.
    private static let clockTolerance: Duration = .seconds(86400)

    /// Returns the time since 1970 that the oldest record claims, or `nil` if the log is empty.
    ///
    /// Zero if it cannot be read: nothing is known to be older.
    private func oldestTime() -> Duration? {
        do {
            guard let number = try numbers().first else { return nil }
            return firstTime(of: number).map { .milliseconds($0.milliseconds) } ?? .zero
        } catch { return .zero }
    }

    private func status(_ number: Int) -> (bytes: Int64, modifiedAt: Int)? { Self.status(path(number)) }

    private static func status(_ path: String) -> (bytes: Int64, modifiedAt: Int)? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return (Int64(status.st_size), Int(status.st_mtim.tv_sec))
    }
}
