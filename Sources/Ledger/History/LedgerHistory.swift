// SPDX-License-Identifier: Apache-2.0
public import Fleet

/// How much of the past a reader of the ledger needs.
public struct LedgerHistory: Sendable {
    /// Orders that ended longer ago than this are left out; `nil`: none are.
    private(set) var ended: Duration?
    /// A failed order whose source may still search for a second copy is left out after this instead.
    private(set) var searched: Duration = .zero
    /// The reader's clock.
    private var now = Instant(milliseconds: 0)
    /// Samples from before this are left out; `nil`: none are.
    var samplesSince: Instant?
    /// Whether all samples of the last two minutes and one a minute before that suffice, as `HostHistory` keeps them.
    var thins = false
    /// Orders that have ended and do not concern this host are left out; `nil`: none are for this reason.
    var host: HostName?

    private init() {}

    /// Everything in the ledger.
    public static let everything = LedgerHistory()

    /// What a controller or a command needs to know the present: orders that are unfinished, in doubt, sealed or
    /// leaked, or that ended in the last `ended`, and the samples of the last `samples`.
    ///
    /// `searched`: for how long after its last question the source of a failed order may search for a second copy.
    ///
    /// Of orders that have ended, only the last report of progress is read.
    public static func recent(
        ended: Duration,
        searched: Duration = .zero,
        samples: Duration,
        thinned: Bool,
        at now: Instant
    ) -> LedgerHistory {
        var history = LedgerHistory()
        (history.ended, history.searched, history.now) = (ended, max(ended, searched), now)
        history.samplesSince = now - samples
        history.thins = thinned
        return history
    }

    /// What the agent of a host needs: of the orders that have ended, only its own.
    ///
    /// The newest order of each VM that has begun is read, however long ago it ended: the agent must watch for the VM.
    public static func ofAgent(on host: HostName, ended: Duration, at now: Instant) -> LedgerHistory {
        var history = LedgerHistory()
        (history.ended, history.now) = (ended, now)
        history.host = host
        return history
    }

    /// Returns the time before which orders that have ended are left out; `newest`: the time of the newest record.
    ///
    /// The reader's clock may be ahead, above all after a power cut: then the newest record counts.
    func endedSince(newest: Instant?) -> Instant? { ended.map { min(now, newest ?? now) - $0 } }

    /// Like `endedSince`, for orders whose source may still search for a second copy.
    func searchedSince(newest: Instant?) -> Instant? {
        ended.map { min(now, newest ?? now) - max($0, searched) }
    }

    /// Whether an order concerns the reader.
    func concerns(_ order: MigrationOrder) -> Bool { host.map { order.source == $0 || order.target == $0 } ?? true }
}

extension LineSelection {
    /// Number of lines of one batch that are kept because they are recent, whatever times they claim.
    private static let recentLines = 250

    /// The samples that `HostHistory.thin` keeps of one host: all of the last two minutes, and before that the last of
    /// each minute.
    static let thinned = LineSelection { lines in
        let times = lines.map { LineGlimpse.time($0.bytes)?.milliseconds }
        let detailed = (times.compactMap { $0 }.max() ?? 0) - 120_000
        func isThin(_ index: Int) -> Bool {
            guard let time = times[index] else { return false }
            return time < detailed || index < lines.count - recentLines
        }
        return lines.indices.filter { index in
            guard isThin(index), index + 1 < lines.count, isThin(index + 1) else { return true }
            return (times[index] ?? 0) / 60_000 != (times[index + 1] ?? 0) / 60_000
        }.map { lines[$0] }
    }
}
