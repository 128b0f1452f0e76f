// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// How much of a log is kept.
///
/// Whole segments are removed, the oldest first, and never the active one.
public struct Retention: Sendable, Equatable {
    /// A segment is removed once its last record was written this long ago.
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
    /// Ages are differences of the storage's times, so that a wrong clock of this host removes nothing. Errors are
    /// ignored: the next rotation tries again, and the current append has succeeded.
    func removeSegments(before active: Int, beyond retention: Retention, segmentBytes: Int64) {
        guard let numbers = try? numbers(), let now = status(active)?.modifiedAt else { return }
        // The active segment counts as full, because the next check comes only when it is.
        var bytes = segmentBytes
        var isKept = true
        for number in numbers.reversed() where number < active {
            guard let status = status(number) else { continue }
            // Other hosts choose sizes and times of their files.
            let room = Int64(clamping: retention.bytes) - bytes
            isKept = isKept && status.bytes <= room && .seconds(now) - .seconds(status.modifiedAt) <= retention.age
            if isKept { bytes += status.bytes } else { unlink(path(number)) }
        }
    }

    private func status(_ number: Int) -> (bytes: Int64, modifiedAt: Int)? {
        var status = stat()
        guard lstat(path(number), &status) == 0 else { return nil }
        return (Int64(status.st_size), Int(status.st_mtim.tv_sec))
    }
}
