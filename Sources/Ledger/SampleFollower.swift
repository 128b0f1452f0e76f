// SPDX-License-Identifier: Apache-2.0
internal import Fleet

/// Follows the samples of all hosts, each in its own log, and merges them by time.
///
/// A host whose log is damaged, flooded or lost costs its own samples only.
struct SampleFollower: Sendable {
    private var positions: [LedgerLog: ReadPosition] = [:]

    /// Number of lines read from each log at once: the samples of a large fleet must not all be in memory.
    private static let batch = 64
    /// Number of lines of which a selection chooses a few.
    private static let chosenBatch = 1000
    /// Number of batches of one log in one call: a flooded log falls behind and holds up nothing else.
    private static let rounds = (first: 1000, later: 16)

    /// Passes each valid sample that is new to `take`, and returns the skipped lines and gaps.
    mutating func readNew(
        in ledger: any FleetLedger,
        _ history: LedgerHistory,
        take: (LoadSample) async -> Void
    ) async throws -> LedgerRemarks {
        var remarks = LedgerRemarks()
        let logs = try await ledger.logs(of: .load)
        positions = positions.filter { logs.contains($0.key) }
        let rounds = positions.isEmpty ? Self.rounds.first : Self.rounds.later
        var parts = logs.map { Part(log: $0, position: positions[$0], isNew: positions[$0] == nil) }
        for round in 1...rounds {
            let due = parts.indices.filter { parts[$0].hasMore && parts[$0].waiting.isEmpty }
            var failure: (any Error)?
            do {
                for (index, part) in try await Self.next(due.map { ($0, parts[$0]) }, in: ledger, history) {
                    remarks.add(part.remarks)
                    parts[index] = part
                    parts[index].remarks = LedgerRemarks()
                    positions[part.log] = part.position
                }
            } catch { failure = error }
            let isLast = failure != nil || round == rounds || !parts.contains(where: \.hasMore)
            // A log whose next samples are not known yet may have older ones than the others.
            let horizon = isLast ? nil : parts.filter(\.hasMore).compactMap(\.reached).min()
            for sample in Self.due(&parts, until: horizon) { await take(sample) }
            if let failure { throw failure }
            if isLast { break }
        }
        return remarks
    }

    /// One log while it is read.
    private struct Part: Sendable {
        var log: LedgerLog
        var position: ReadPosition?
        /// Whether nothing was read before this call.
        var isNew: Bool
        var hasMore = true
        /// Samples that were read and not passed on; `time` never falls, because a log is passed on in its order.
        var waiting: [(time: Instant, sample: LoadSample)] = []
        var reached: Instant?
        var remarks = LedgerRemarks()
    }

    /// Removes and returns the samples up to an instant, by time; without one, all.
    private static func due(_ parts: inout [Part], until horizon: Instant?) -> [LoadSample] {
        var due: [(time: Instant, sample: LoadSample)] = []
        for index in parts.indices {
            let count = parts[index].waiting.prefix { entry in horizon.map { entry.time <= $0 } ?? true }.count
            due += parts[index].waiting.prefix(count)
            parts[index].waiting.removeFirst(count)
        }
        // Stable, so that each log stays in its order.
        return due.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
            .map(\.element.sample)
    }

    /// Reads the next batch of each of these logs.
    private static func next(
        _ parts: [(Int, Part)],
        in ledger: any FleetLedger,
        _ history: LedgerHistory
    ) async throws -> [(Int, Part)] {
        try await withThrowingTaskGroup(of: (Int, Part).self) { group in
            for (index, part) in parts {
                group.addTask {
                    var part = part
                    try await Self.read(&part, in: ledger, history)
                    return (index, part)
                }
            }
            var read: [(Int, Part)] = []
            for try await part in group { read.append(part) }
            return read.sorted { $0.0 < $1.0 }
        }
    }

    private static func read(_ part: inout Part, in ledger: any FleetLedger, _ history: LedgerHistory) async throws {
        do {
            if part.position == nil {
                part.position = ReadPosition()
                if let since = history.samplesSince {
                    part.position?.next = try await ledger.start(of: part.log, since: since)
                }
            }
            var position = part.position ?? ReadPosition()
            let isChosen = part.isNew && history.thins && part.log.writer != nil
            var records = try await position.due(LoadSample.self, of: part.log, in: ledger)
            let batch = try await ledger.read(
                LoadSample.self,
                in: part.log,
                from: position.next,
                limit: isChosen ? chosenBatch : Self.batch,
                selecting: isChosen ? .thinned : nil
            )
            records += batch.records
            part.remarks.add(batch.remarks)
            position.keep(batch.skipped)
            position.next = batch.next
            part.position = position
            part.hasMore = batch.hasMore
            for sample in records.map(\.body) {
                part.reached = max(part.reached ?? sample.at, sample.at)
                part.waiting.append((part.reached ?? sample.at, sample))
            }
        } catch LedgerError.cursorNotInLog(let path, let cursor, let reason) {
            // The file was replaced: it is read again from where a new reader would begin.
            part.remarks.add(.cursorNotInLog(path: path, cursor: cursor, reason: reason), of: part.log)
            part.hasMore = false
            part.position = nil
        } catch let error as LedgerError where part.log.writer != nil && error.isOfOneFile {
            part.remarks.add(error, of: part.log)
            part.hasMore = false
        }
    }
}
